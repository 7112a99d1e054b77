import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createOrigins, type Origins } from './origins.ts';
import { CALLERS, createWorld, type RunOutput, type World } from './sand.ts';

const API = 'api.origin.test';
const OTHER = 'other.origin.test';
const BASELINE = 'sand.baseline.json';

let origins: Origins;
beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());

const rule = (host: string) =>
  `  - {allow: "${host}", http: [${origins.httpPort}], addresses: [127.0.0.1]}\n`;
const fetches = (...hosts: readonly string[]) =>
  hosts.map((host) => `curl -s -o /dev/null http://${host}:${origins.httpPort}/;`).join(' ');

describe.each(CALLERS)('sand ci as %s', (who) => {
  let world: World;
  beforeEach(() => {
    world = createWorld(who);
    world.file('sand.policy.yaml', `version: 1\nrules:\n${rule('*.origin.test')}`);
  });
  afterEach(() => world.remove());

  const ci = (flags: readonly string[], script: string, environment = {}): Promise<RunOutput> => {
    const upstream = ['--dns-upstream', `127.0.0.1:${origins.dnsPort}`];
    const named = ['--policy', './sand.policy.yaml', ...upstream];
    const own = { CI: 'true', ...environment };
    return world.sand(['ci', ...named, ...flags, '--', 'sh', '-c', script], { environment: own });
  };
  const read = (name: string) => readFileSync(join(world.workspace, name), 'utf8');

  it('tells a new host inside the policy, and one that is gone', async () => {
    expect(await ci(['--update-baseline'], `${fetches(API)} true`)).toMatchObject({ code: 0 });
    const before = read(BASELINE);
    const drifted = await ci([], `${fetches(OTHER)} true`);
    expect(drifted.code).toBe(121);
    expect(drifted.stderr).toContain(`new host: http ${OTHER}:${origins.httpPort}`);
    expect(drifted.stderr).toContain(`vanished host: http ${API}:${origins.httpPort}`);
    expect(await ci(['--fail-on', 'denied'], `${fetches(OTHER)} true`)).toMatchObject({ code: 0 });

    const failed = await ci(['--update-baseline'], `${fetches(OTHER)} exit 7`);
    expect([failed.code, failed.stderr]).toEqual([7, expect.stringContaining('left as it was')]);
    expect(read(BASELINE)).toBe(before);

    const updated = await ci(['--update-baseline'], `${fetches(OTHER)} true`);
    expect(updated.stderr).toMatch(
      /sand: sand\.baseline\.json is written: 2 changed\n {2}\+ http other[^\n]*\n {2}- http api/,
    );
    expect(await ci(['--update-baseline'], `${fetches(OTHER)} true`)).toMatchObject({
      code: 0,
      stderr: 'sand: sand.baseline.json says so already\n',
    });
  });

  it('ends with the command’s own code before its own, and tells each by a code of its own', async () => {
    world.file('none.json', '{"version": 1, "hosts": [], "denied": []}\n');
    const denied = 'curl -s -o /dev/null http://elsewhere.example/;';
    const flags = ['--baseline', 'none.json', '--fail-on', 'denied,drift'];
    expect(await ci(flags, `${denied} ${fetches(API)} exit 3`)).toMatchObject({ code: 3 });
    expect(await ci(flags, `${denied} ${fetches(API)} true`)).toMatchObject({ code: 120 });
    expect(await ci(flags, `${fetches(API)} true`)).toMatchObject({ code: 121 });
    expect(await ci(['--timeout', '1s', ...flags], `${denied} sleep 30`)).toMatchObject({ code: 124 });
    expect(await ci(['--baseline', 'missing.json'], 'touch ran')).toMatchObject({ code: 2 });
    expect(await ci(['--fail-on', 'some'], 'touch ran')).toMatchObject({ code: 2 });
    expect(existsSync(join(world.workspace, 'ran'))).toBe(false);
  });

  it('does not take up a baseline that the guest makes where there was none', async () => {
    const made = await ci(['--fail-on', 'none'], `echo '{"version":1,"hosts":[],"denied":[]}' > ${BASELINE}`);
    expect(made.stderr).toContain('was made by the guest and moved to');
    expect(existsSync(join(world.workspace, BASELINE))).toBe(false);
    const named = await ci(['--update-baseline', '--baseline', 'mine.json'], `ln -s ../../outside mine.json`);
    expect(named.code).toBe(0);
    expect(readdirSync(world.root)).not.toContain('outside');
    expect(JSON.parse(read('mine.json'))).toEqual({ version: 1, hosts: [], denied: [] });
  });
});

describe.each(CALLERS)('a ceiling over sand ci as %s', (who) => {
  let world: World;
  let ceiling: string;
  beforeEach(() => {
    world = createWorld(who);
    ceiling = join(world.root, 'ceiling.yaml');
    writeFileSync(ceiling, `version: 1\nrules:\n${rule(API)}`, { mode: 0o644 });
  });
  afterEach(() => world.remove());

  const wide = () => `version: 1\nrules:\n${rule(API)}${rule(OTHER)}`;
  const script = () => `${fetches(API, OTHER)} true`;
  const run = (args: readonly string[], environment: Readonly<Record<string, string>> = {}) => {
    const upstream = ['--dns-upstream', `127.0.0.1:${origins.dnsPort}`];
    const [command = '', ...flags] = args;
    return world.sand([command, ...upstream, ...flags, '--', 'sh', '-c', script()], {
      environment: { CI: 'true', SAND_CEILING: ceiling, ...environment },
    });
  };

  it('names what it cuts with a witness, and fails for it where that is asked', async () => {
    world.file('sand.policy.yaml', wide());
    const seen = origins.requests.length;
    const flags = ['ci', '--policy', './sand.policy.yaml'];
    const told = await run([...flags, '--fail-on', 'none']);
    expect(told.code).toBe(0);
    expect(told.stderr).toContain(
      `sand.policy.yaml:4 asks for http to ${OTHER}:${origins.httpPort} at 127.0.0.1, which ${ceiling} does not allow`,
    );
    expect(await run([...flags, '--fail-on', 'ceiling'])).toMatchObject({ code: 120 });
    const ran = await run(['run', '--policy', './sand.policy.yaml']);
    expect(ran.stderr).toMatch(/^sand: the policy asks in one rule for more than the ceiling /m);
    expect(await world.events()).toContainEqual(
      expect.objectContaining({ kind: 'notice', code: 'ceiling-cuts' }),
    );
    expect(origins.requests.slice(seen)).toEqual(Array(3).fill(`GET ${API}:${origins.httpPort} /`));
  });

  it('is widened by no flag, variable, project file or found policy', async () => {
    const wideFile = world.file('wide.yaml', wide());
    world.file('sand.policy.yaml', 'version: 1\nextends: [strict]\n');
    world.file('sand.yaml', 'version: 1\npolicy: [./wide.yaml]\n');
    const seen = origins.requests.length;
    const tries: readonly (readonly [readonly string[], Readonly<Record<string, string>>])[] = [
      [['ci', '--policy', './wide.yaml', '--no-project-file'], {}],
      [['ci', '--policy', './wide.yaml', '--allow', OTHER, '--allow', `${OTHER}:${origins.httpPort}`], {}],
      [['ci', '--project-file', './sand.yaml'], {}],
      [
        ['ci', '--policy', './wide.yaml', '--env', `SAND_CEILING=${wideFile}`],
        { SAND_POLICY: wideFile, SAND_ALLOW: OTHER },
      ],
      [
        ['ci', '--policy', './wide.yaml'],
        { XDG_CONFIG_HOME: join(world.workspace, 'config'), SAND_CONFIG: wideFile },
      ],
    ];
    for (const [args, environment] of tries) await run([...args, '--fail-on', 'none'], environment);
    const found = await run(['ci', '--no-project-file', '--fail-on', 'none']);
    expect(found.code).toBe(0);
    expect(origins.requests.slice(seen).filter((one) => one.includes(OTHER))).toEqual([]);
    // One that is named and not there is not "no ceiling".
    symlinkSync('nowhere', join(world.root, 'gone.yaml'));
    expect(
      await run(['ci', '--policy', './wide.yaml'], { SAND_CEILING: join(world.root, 'gone.yaml') }),
    ).toMatchObject({ code: 2 });
  });
});
