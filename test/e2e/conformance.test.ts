/** The cases of the attack catalogue that need a real guest: all of them in one run, one test a case. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../audit/event.ts';
import { type GuestCase, holds, readCatalogue } from '../conformance/catalogue.ts';
import { ALLOWED, createOrigins, DENIED, type Origins } from './origins.ts';
import { createWorld, type World } from './sand.ts';

const cases = readCatalogue().flatMap((topic) =>
  topic.cases.filter((test): test is GuestCase => test.needs === 'guest'),
);

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

/** Each case prints between two marks; none outlives its time. */
function script(): string {
  const one = ({ id }: GuestCase) =>
    `echo; echo "@@ ${id}"; timeout 15 sh cases/${id}.sh 2>&1; echo; echo "@@ end"`;
  return cases.map(one).join('\n');
}

describe('from inside a guest', () => {
  let origins: Origins;
  let world: World;
  let printed = '';
  let events: readonly AuditEvent[] = [];

  beforeAll(async () => {
    origins = await createOrigins();
    world = createWorld();
    world.file('p.yaml', policyFor(origins));
    for (const { id, run } of cases) world.file(`cases/${id}.sh`, `${run}\n`);
    const ports = { HTTP: origins.httpPort, HTTPS: origins.httpsPort, TCP: origins.tcpPort };
    const run = await world.sand([
      'run',
      '--policy',
      './p.yaml',
      '--dns-upstream',
      `127.0.0.1:${origins.dnsPort}`,
      '--mount',
      '.',
      '--mount',
      `${origins.authority}:/certificates/ca.pem:ro`,
      '--env',
      'CURL_CA_BUNDLE=/certificates/ca.pem',
      ...Object.entries(ports).flatMap(([name, port]) => ['--env', `${name}=${port}`]),
      '--',
      'sh',
      '-c',
      script(),
    ]);
    printed = run.stdout + run.stderr;
    events = await world.events();
  });
  afterAll(async () => {
    world.remove();
    await origins.close();
  });

  it.each(cases)('$id: $what', (test) => {
    const [, behind = ''] = printed.split(`@@ ${test.id}\n`);
    const [said = ''] = behind.split('@@ end');
    expect(said).toMatch(new RegExp(test.prints));
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
});
