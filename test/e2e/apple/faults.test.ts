/** Apple's tool as it is when it fails, lies, hangs or is another program: what a run says of it, and that nothing hangs or is left. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EMULATOR_BIN } from '../../emulators/container/emulation.ts';
import { follow } from '../lifecycle/conditions.ts';
import { ALLOWED, createOrigins, type Origins } from '../origins.ts';
import {
  APPLE_MS,
  type AppleWorld,
  CAN_EMULATE,
  createAppleWorld,
  SYSTEM_PATH,
  USUAL_IMAGE,
} from './apple-world.ts';

const LOOP = 'while :; do sleep 0.1; done';

describe.skipIf(!CAN_EMULATE)(
  'a tool of the apple-container backend that fails',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    let origins: Origins;
    beforeAll(async () => {
      world = createAppleWorld();
      origins = await createOrigins();
      await world.sand(['image', 'pull', USUAL_IMAGE]);
    }, APPLE_MS);
    beforeEach(() => world.be({}));
    afterAll(async () => {
      await world.end();
      await origins.close();
    }, APPLE_MS);

    const echo = (options = {}) => world.run([], ['echo', 'ran'], options);

    function fakeTool(script: string): { environment: Record<string, string> } {
      const folder = join(world.root, 'fake');
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'container'), script);
      chmodSync(join(folder, 'container'), 0o755);
      return { environment: { SAND_TOOL_PATH: `${folder}:${SYSTEM_PATH}` } };
    }

    it.each([
      {
        what: 'its services are down',
        settings: { server: 'down' },
        says: ['backend-unavailable', 'container system start'],
      },
      {
        what: 'its version is below the floor',
        settings: { version: '1.2.0' },
        says: ['backend-unavailable', '1.2.1'],
      },
      {
        what: 'its version is of the 0.x',
        settings: { version: '0.12.3' },
        says: ['backend-unavailable', '1.2.1'],
      },
    ] as const)('$what', async ({ settings, says }) => {
      world.be(settings);
      const { code, stdout, stderr } = await echo();
      expect([code, stdout]).toEqual([125, '']);
      for (const text of [...says, '  do: ']) expect(stderr).toContain(text);
      await world.nothingRemains();
    });

    it('another program has its name', async () => {
      const { code, stdout, stderr } = await echo(fakeTool('#!/bin/sh\necho "container of things 3.4.5"\n'));
      expect([code, stdout]).toEqual([125, '']);
      expect(stderr).toContain('(backend-unavailable)');
      expect(stderr).toContain('container --version');
    });

    it('it is not there at all', async () => {
      const { code, stdout, stderr } = await echo({ environment: { SAND_TOOL_PATH: SYSTEM_PATH } });
      expect([code, stdout]).toEqual([125, '']);
      expect(stderr).toContain('(tool-missing)');
      expect(stderr).toContain('sand doctor');
    });

    it.each([
      { what: 'tells of a network', fault: { fault: 'lying-network' }, probe: 'container-networks' },
      {
        what: 'tells of another resolver',
        fault: { fault: 'lying-nameserver', value: '8.8.8.8' },
        probe: 'container-resolver',
      },
      { what: 'prints garbage', fault: { fault: 'garbage', command: 'inspect' }, probe: 'container' },
      {
        what: 'prints half of its JSON',
        fault: { fault: 'broken-json', command: 'inspect' },
        probe: 'container',
      },
      {
        what: 'says nothing, and that it succeeded',
        fault: { fault: 'silent', command: 'inspect', status: 0 },
        probe: 'container',
      },
    ] as const)('inspect $what: nothing runs', async ({ fault, probe }) => {
      world.show(fault);
      const { code, stdout, stderr } = await echo();
      expect([code, stdout]).toEqual([122, '']);
      expect(stderr).toContain(probe);
      expect(stderr).toMatch(/ {2}do: /);
      await world.nothingRemains();
    });

    it('publishes a port that nobody asked for: nothing runs', async () => {
      const real = join(EMULATOR_BIN, 'container');
      const { code, stdout, stderr } = await echo(
        fakeTool(
          `#!/bin/sh\n[ "$1" = create ] && { shift; exec ${real} create -p 127.0.0.1:0:80 "$@"; }\nexec ${real} "$@"\n`,
        ),
      );
      expect(stdout).toBe('');
      expect([122, 125]).toContain(code);
      expect(stderr).toMatch(/container-ways-in|publish/);
      await world.nothingRemains();
    });

    it('hangs when it is asked about the guest: that is bounded, and told', async () => {
      world.show({ fault: 'hang', command: 'inspect' });
      const { code, stdout, stderr, durationMs } = await echo();
      expect([code, stdout]).toEqual([125, '']);
      expect(stderr).toContain('did not answer within 20 seconds');
      expect(durationMs).toBeLessThan(60_000);
      world.be({});
      await world.nothingRemains();
    });

    it('is slow: a run waits', async () => {
      world.show(
        { fault: 'delay', command: 'start', ms: 4_000 },
        { fault: 'delay', command: 'exec', ms: 500 },
      );
      expect(await echo()).toMatchObject({ code: 0, stdout: 'ran\n' });
      await world.nothingRemains();
    });

    it('loses its services for one call: the run says so, and leaves nothing', async () => {
      world.show({ fault: 'xpc-error', command: 'exec', times: 1 });
      const { code, stdout, stderr } = await echo();
      expect([code, stdout]).toEqual([125, '']);
      expect(stderr).toContain('(backend-unavailable)');
      expect(stderr).toContain('container system start');
      await world.nothingRemains();
    });

    it('ends a command\u2019s call by itself: that is no end of the command\u2019s', async () => {
      world.show({ fault: 'silent', command: 'exec', skip: 2, times: 1, status: 1 });
      const { code, stdout, stderr } = await echo();
      expect([code, stdout]).toEqual([125, '']);
      expect(stderr).toContain('(guest-failed)');
      await world.nothingRemains();
    });

    it.each(['vanish', 'kill-helper'] as const)(
      'loses the guest (%s) while a command runs: the run ends, and says so',
      async (fault) => {
        const run = follow(world.startRun([], ['sh', '-c', `echo up; ${LOOP}`]));
        await run.printed('up', APPLE_MS);
        const [name = ''] = world.containers();
        if (fault === 'vanish')
          execFileSync(join(EMULATOR_BIN, 'container'), ['delete', '--force', name], {
            env: { HOME: world.home },
          });
        else killHelper(world, name);
        expect(await run.ended(APPLE_MS)).toBe(125);
        expect(run.stderr()).toContain('(guest-failed)');
        expect(run.stderr()).not.toContain('(teardown-failed)');
        await world.nothingRemains();
      },
    );

    const networked = () => {
      world.file(
        'p.yaml',
        `version: 1\nname: modes\nrules:\n  - allow: ${ALLOWED}\n    http: [${origins.httpPort}]\n    https: [${origins.httpsPort}]\n    addresses: [127.0.0.0/8]\n  - allow: raw.origin.test\n    tcp: [${origins.tcpPort}]\n    addresses: [127.0.0.0/8]\n`,
      );
      const script = `unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
curl -sS -m 20 http://${ALLOWED}:${origins.httpPort}/
curl -sS -m 20 --cacert /certificates/ca.pem https://${ALLOWED}:${origins.httpsPort}/x
python3 -c 'import socket; c = socket.create_connection(("raw.origin.test", ${origins.tcpPort}), 20); c.sendall(b"raw"); print(c.recv(99).decode())'
python3 -c 'import socket; print(socket.gethostbyname("${ALLOWED}"))'`;
      const flags = [
        '--policy',
        './p.yaml',
        '--dns-upstream',
        `127.0.0.1:${origins.dnsPort}`,
        '--mount',
        '.',
      ];
      return world.run(
        [...flags, '--mount', `${origins.authority}:/certificates/ca.pem:ro`],
        ['sh', '-c', script],
      );
    };
    const all = () => `hello from ${ALLOWED}:${origins.httpPort}\nsecret hello of /x\necho raw\n`;

    it.each([
      { what: 'no nf_tables', faults: [{ fault: 'no-netfilter' }], addresses: /^198\.1[89]\./ },
      {
        what: 'no NET_ADMIN',
        faults: [{ fault: 'drop-capability', value: 'NET_ADMIN' }],
        addresses: /^127\.1[89]\./,
      },
    ] as const)(
      'gives the guest $what: http, https and tcp work without a proxy all the same',
      async ({ faults, addresses }) => {
        world.show(...faults);
        const { code, stdout, stderr } = await networked();
        expect([code, stderr]).toEqual([0, '']);
        expect(stdout.slice(0, all().length)).toBe(all());
        expect(stdout.slice(all().length)).toMatch(addresses);
        await world.nothingRemains();
      },
    );

    it('has a relay that is dead after one refusal: no connection hangs beyond its bound, and none gets out', async () => {
      const run = follow(
        world.startRun(
          [],
          [
            'sh',
            '-c',
            'echo up; read go; curl -sS -m 5 http://example.com/; curl -sS -m 5 http://example.com/; echo "curl=$?"',
          ],
        ),
      );
      await run.printed('up', APPLE_MS);
      const runs = join(world.root, 'state/sand/runs');
      for (const id of readdirSync(runs)) rmSync(join(runs, id, 'guest/proxy.sock'), { force: true });
      run.child.stdin?.write('go\n');
      await run.printed('curl=', APPLE_MS);
      expect(run.stdout()).not.toContain('curl=0');
      run.child.stdin?.end();
      expect(await run.ended(APPLE_MS)).toBe(0);
      await world.nothingRemains();
    });
  },
);

/** The tool's own process beside a guest. */
function killHelper(world: AppleWorld, name: string): void {
  const state = execFileSync(
    'cat',
    [join(world.home, 'Library/Application Support/com.apple.container/containers', name, 'state.json')],
    {
      encoding: 'utf8',
    },
  );
  const { helper } = JSON.parse(state) as { helper: { pid: number } };
  process.kill(helper.pid, 'SIGKILL');
}
