/**
 * The attack catalogue's cases for a real guest, one test a case, with the same policy, scripts and expected records
 * whichever way the guest is made. How the scripts get into a guest is the file's that calls this.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AuditEvent } from '../../audit/event.ts';
import { type GuestCase, holds, readCatalogue } from '../conformance/catalogue.ts';
import { endGuests } from './background.ts';
import { ALLOWED, createOrigins, DENIED, type Origins } from './origins.ts';
import type { RunOutput, World } from './sand.ts';

const CASE_SECONDS = 15;
/** Commands at one time in the guest; each runs its share of the cases. */
const COMMANDS = 4;
const CASES = readCatalogue().flatMap((topic) =>
  topic.cases.filter((test): test is GuestCase => test.needs === 'guest'),
);

/** What a shell, a loader and Python say of a thing that is not there. A pattern of a case may match the words. */
const MISSING = /: not found$|error while loading shared libraries|No module named/m;

export interface Way {
  world(): World;
  /**
   * Runs each script by `sh -c` in a guest that `sand run` starts with these flags, and returns all that they printed,
   * what one printed in one piece. The guest has ended by then.
   */
  perform(world: World, flags: readonly string[], scripts: readonly string[]): Promise<string>;
  /** A folder that this way's guests can have; absent: `/certificates`. */
  readonly certificates?: string;
  /** Of one case; absent: `CASE_SECONDS`. */
  readonly caseSeconds?: number;
  /** Of all cases; absent: that of the project's hooks. */
  readonly deadlineMs?: number;
}

/** Within a `describe`, which names the way. */
export function holdGuestCases({ perform, deadlineMs, ...way }: Way): void {
  let origins: Origins;
  let world: World;
  let printed = '';
  let events: readonly AuditEvent[] = [];

  beforeAll(async () => {
    origins = await createOrigins();
    world = way.world();
    world.file('p.yaml', policyFor(origins));
    for (const { id, run } of CASES) world.file(`cases/${id}.sh`, `${run}\n`);
    const scripts = CASES.map((test) => scriptOf(test, way.caseSeconds ?? CASE_SECONDS));
    printed = await perform(world, flagsFor(origins, way.certificates), scripts);
    events = await world.events();
  }, deadlineMs);
  afterAll(async () => {
    world.remove();
    await origins.close();
  });

  it.each(CASES)('$id: $what', (test) => {
    const [, behind = ''] = printed.split(`@@ ${test.id}\n`);
    const [said = ''] = behind.split('@@ end');
    expect(said, printed.slice(-500)).toMatch(new RegExp(test.prints));
    expect(said).not.toMatch(MISSING);
    if (test.verdict === 'deny') expect(said).not.toMatch(/hello/);
    const reasons =
      test.reason === undefined ? [] : [{ reason: test.reason, disposition: '/refused|answered/' }];
    for (const wanted of [...reasons, ...(test.audit ?? [])]) {
      expect(events, JSON.stringify(wanted)).toSatisfy((all: readonly AuditEvent[]) =>
        all.some((event) => holds(wanted, event)),
      );
    }
  });

  it('no denied name reaches an origin or a name server', () => {
    expect(origins.asked).not.toContain(DENIED);
    expect(origins.requests.join('\n')).not.toContain(`${DENIED}:`);
  });
}

/** All scripts in one `sand run` with these flags before the ways' own. */
export function inOneRun(run: readonly string[], deadlineMs?: number): Pick<Way, 'perform' | 'deadlineMs'> {
  return {
    async perform(world, flags, scripts) {
      const options = deadlineMs === undefined ? {} : { deadlineMs };
      return allOf(await world.sand([...run, ...flags, '--', 'sh', '-c', scripts.join('\n')], options));
    },
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  };
}

/** All by `exec` into a guest that is started without a command, with these flags before the ways' own. */
export function byExec(run: readonly string[], deadlineMs?: number): Pick<Way, 'perform' | 'deadlineMs'> {
  const bound = deadlineMs === undefined ? {} : { deadlineMs };
  return {
    ...bound,
    async perform(world, flags, scripts) {
      const sand = async (...args: readonly string[]): Promise<string> => {
        const output = await world.sand(args, bound);
        expect(output.code, `sand ${args[0]}: ${output.stderr}`).toBe(0);
        return allOf(output);
      };
      try {
        await sand('run', '-d', '--name', 'held', ...run, ...flags);
        const shares = Array.from({ length: COMMANDS }, (_, share) =>
          scripts.filter((_script, at) => at % COMMANDS === share).join('\n'),
        );
        const printed = await Promise.all(
          shares.map((share) => sand('exec', 'held', '--', 'sh', '-c', share)),
        );
        await sand('stop', 'held');
        return printed.join('');
      } finally {
        await endGuests(world);
      }
    },
  };
}

export function allOf({ stdout, stderr }: RunOutput): string {
  return stdout + stderr;
}

function policyFor(origins: Origins): string {
  return `version: 1
name: conformance
rules:
  - allow: ${ALLOWED}
    http: [${origins.httpPort}]
    https: [${origins.httpsPort}]
    addresses: [127.0.0.0/8]
  - allow: raw.origin.test
    tcp: [${origins.tcpPort}]
    addresses: [127.0.0.0/8]
  - allow: host.sand
    http: [${origins.httpPort}]
  - deny: ${DENIED}
`;
}

function flagsFor(origins: Origins, certificates = '/certificates'): readonly string[] {
  const ports = { HTTP: origins.httpPort, HTTPS: origins.httpsPort, TCP: origins.tcpPort };
  return [
    ...['--policy', './p.yaml', '--dns-upstream', `127.0.0.1:${origins.dnsPort}`, '--mount', '.'],
    ...['--mount', `${origins.authority}:${certificates}/ca.pem:ro`],
    ...['--env', `CURL_CA_BUNDLE=${certificates}/ca.pem`],
    ...Object.entries(ports).flatMap(([name, port]) => ['--env', `${name}=${port}`]),
  ];
}

/** A case prints between two marks, and none outlives its time. */
function scriptOf({ id }: GuestCase, seconds: number): string {
  return `echo; echo "@@ ${id}"; timeout ${seconds} sh cases/${id}.sh 2>&1; echo; echo "@@ end"`;
}
