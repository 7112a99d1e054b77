/**
 * `sand ci` for real: a build that is denied, the walk of docs/ci.md from there to a commit, and a guest that
 * would rather write its own baseline, or have a report written elsewhere. What takes longer is in `ci-runs.test.ts`.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createOrigins, type Origins } from './origins.ts';
import { CALLERS, createWorld, type RunOutput, type World } from './sand.ts';

const API = 'api.origin.test';
const GIT = ['safe.directory=*', 'user.name=a', 'user.email=a@example.com'].flatMap((one) => ['-c', one]);
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

  it('goes from a denied build to a committed change as docs/ci.md says', async () => {
    world.file('sand.policy.yaml', 'version: 1\nrules: []\n');
    const script = `${fetches(API)} exit 0`;
    const git = (...args: readonly string[]) =>
      execFileSync('git', [...GIT, '-C', world.workspace, ...args], {
        encoding: 'utf8',
        env: world.environment,
      });
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'begin');
    const failed = await ci([], script);
    expect([failed.code, failed.stderr]).toEqual([120, expect.stringContaining('1 destination was denied')]);

    const walk =
      /^## From a denied[\s\S]*?^```sh\n([\s\S]*?)^```$/m.exec(
        readFileSync(new URL('../../docs/ci.md', import.meta.url), 'utf8'),
      )?.[1] ?? '';
    const commands = walk.trim().split('\n');
    expect(commands.length).toBeLessThan(5);
    for (const command of commands) {
      // The origin of this test has a port and an address of its own.
      const words = command
        .replace('api.example.com', `${API} --http ${origins.httpPort} --address 127.0.0.1`)
        .replace('sand ci', `sand ci --dns-upstream 127.0.0.1:${origins.dnsPort}`)
        .match(/'[^']*'|\S+/g)
        ?.map((word) => word.replace(/^'|'$/g, ''));
      const [program, ...args] = words ?? [];
      if (program === 'git') git(...args);
      else {
        const isRun = args.includes('--');
        const given = isRun ? [...args.slice(0, args.indexOf('--') + 1), 'sh', '-c', script] : args;
        const done = await world.sand(given, { environment: { CI: 'true' } });
        expect([command, done.code, done.stderr]).toEqual([
          command,
          0,
          expect.not.stringContaining('(usage)'),
        ]);
      }
    }
    expect(git('show', '--stat', '--format=', 'HEAD')).toMatch(
      /sand\.baseline\.json[\s\S]*sand\.policy\.yaml/,
    );
    expect(git('show', '--format=', 'HEAD', '--', 'sand.policy.yaml')).toContain(`+  - allow: ${API}`);
    expect(JSON.parse(read(BASELINE)).hosts).toMatchObject([
      { host: API, protocol: 'http', bytesIn: '<10kB' },
    ]);
    expect(await ci([], script)).toMatchObject({ code: 0, stderr: '' });
  });

  it('does not let a guest write the baseline that it is compared with', async () => {
    world.file(BASELINE, '{"version": 1, "hosts": [], "denied": []}\n');
    world.file('other/named.json', '{"version": 1, "hosts": [], "denied": []}\n');
    const attack = (file: string) =>
      `for c in 'echo x >' 'rm -f' 'mv /etc/hostname' 'ln -sf /etc/passwd' 'mv other moved; echo x >' ; do sh -c "$c ${file}" 2> /dev/null && echo "done: $c"; done; true`;
    const before = read(BASELINE);
    const both = `${attack(BASELINE)}; ${attack('other/named.json')}`;
    const tried = await ci(['--baseline', 'other/named.json'], both);
    expect([tried.code, tried.stdout]).toEqual([0, '']);
    expect([read(BASELINE), read('other/named.json')]).toEqual([before, before]);
  });

  it('writes reports, and not where a guest would have them', async () => {
    mkdirSync(join(world.root, 'outside'));
    writeFileSync(join(world.root, 'outside/victim'), 'precious\n');
    world.file('out/keep', '');
    const reports = ['markdown=out/s.md', 'junit=out/j.xml', 'sarif=out/s.sarif', 'json=-'];
    const flags = reports.flatMap((one) => ['--report', one]);
    const output = await ci(
      flags,
      `echo from the guest; curl -s http://x.example/ > /dev/null; ln -s ../../outside/victim out/s.md`,
    );
    expect(output.code).toBe(120);
    expect(output.stderr).toContain('from the guest');
    expect(JSON.parse(output.stdout)).toMatchObject({
      exitCode: 120,
      totals: { denied: 1 },
      denied: [
        {
          host: 'x.example',
          port: 80,
          file: 'sand.policy.yaml',
          line: 2,
          suggestion: '- allow: x.example',
          rule: null,
        },
      ],
      baseline: { file: null, state: 'none' },
    });
    expect(read('out/s.md')).toContain(
      '| `http x.example:80` | 1 | no rule allows this host | `sand.policy.yaml:2` |',
    );
    expect(readFileSync(join(world.root, 'outside/victim'), 'utf8')).toBe('precious\n');
    expect(read('out/j.xml')).toContain('failures="1"');

    const moved = await ci(['--report', 'json=out/r.json'], 'mv out gone; ln -s ../outside out');
    expect([moved.code, moved.stderr]).toEqual([125, expect.stringContaining('(output-failed)')]);
    expect(readdirSync(join(world.root, 'outside'))).toEqual(['victim']);
    expect((await ci(['--report', 'json=out/r.json'], 'true')).code).toBe(2);
  });
});
