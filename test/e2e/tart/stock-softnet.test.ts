/** A guest of the tart backend on the host's own networks, on its emulator: what stock Softnet keeps from it, what it does not, and what NAT does. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TART_BIN } from '../../emulators/tart/emulation.ts';
import type { StartOptions } from '../sand.ts';
import {
  ALLOWED_NAME,
  createHostNetwork,
  DENIED_NAME,
  HOST_ELSEWHERE,
  HOST_SERVER_PORT,
  type HostNetwork,
  OTHER_MACHINE,
} from './host-network.ts';
import { CAN_EMULATE, createTartWorld, SYSTEM_PATH, TART, type TartWorld } from './tart-world.ts';

const RUN_MS = 150_000;
const VMNET = fileURLToPath(new URL('../../emulators/tart-stock/vmnet.py', import.meta.url));
const GATEWAY = '192.168.64.1';
const DOCUMENT = readFileSync(new URL('../../../docs/tart.md', import.meta.url), 'utf8');
/** As the guest's own shell: what a raw connection says, or that there was none. */
const RAW = `raw() { timeout 4 bash -c 'exec 3<>/dev/tcp/$0/$1 && printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3 && cat <&3 | tail -n 1' "$1" "$2" 2>/dev/null || echo blocked; }`;

describe.skipIf(!CAN_EMULATE)('a guest of Tart on a network of the host', { timeout: RUN_MS * 2 }, () => {
  let world: TartWorld;
  let network: HostNetwork;
  let policy: string;
  let softnet: string;
  const begin = (args: readonly string[], options: StartOptions = {}) =>
    world.sand(args, {
      deadlineMs: RUN_MS,
      through: network.through,
      ...options,
      environment: { SAND_TOOL_PATH: `${softnet}:${TART_BIN}:${SYSTEM_PATH}`, ...options.environment },
    });
  const shell = (flags: readonly string[], script: string) =>
    begin(['run', ...TART, '--dns-upstream', OTHER_MACHINE, ...flags, '--', 'sh', '-c', `${RAW}\n${script}`]);
  /** A program `softnet` in front of the tools. */
  const place = (...own: readonly string[]) => {
    softnet = join(world.root, `softnet${own.join('')}`);
    mkdirSync(softnet, { recursive: true });
    const words = [VMNET, ...own].map((word) => `'${word}'`).join(' ');
    writeFileSync(join(softnet, 'softnet'), `#!/bin/sh\nexec python3 ${words} "$@"\n`, { mode: 0o755 });
  };

  const onHost = (script: string): string => {
    const [file = '', ...words] = [...network.through, 'sh', '-c', script];
    return execFileSync(file, words, { env: { PATH: SYSTEM_PATH } }).toString();
  };
  const machines = () =>
    readdirSync(join(world.environment.HOME ?? '', '.tart/vms')).filter((name) => name !== 'linux');

  beforeAll(async () => {
    network = await createHostNetwork();
    world = createTartWorld();
    world.machine('linux', { os: 'linux', without: ['resolvectl'] });
    place();
    policy = world.file('policy.yaml', `version: 1\nrules:\n  - allow: ${ALLOWED_NAME}\n`);
  });
  afterEach(() => {
    world.be({});
    place();
  });
  afterAll(async () => {
    await world.end();
    await network.end();
  });

  it('reaches what is allowed by its gateway, every port of the host, and nothing else', async () => {
    const { code, stdout, stderr } = await shell(
      ['--link', 'softnet', '--policy', policy],
      [
        `curl -sS http://${ALLOWED_NAME}/`,
        `curl -s -o /dev/null -w '%{http_code}\\n' http://${DENIED_NAME}/`,
        `raw ${OTHER_MACHINE} 80`,
        `raw ${HOST_ELSEWHERE} ${HOST_SERVER_PORT}`,
        `raw ${GATEWAY} ${HOST_SERVER_PORT}`,
      ].join('\n'),
    );
    expect(code, stderr).toBe(0);
    expect(stdout.split('\n')).toEqual([
      `hello of ${ALLOWED_NAME}`,
      '403',
      'blocked',
      'blocked',
      'host of None',
      '',
    ]);
    expect(stderr).toContain('confinement is cooperative (link softnet)');
    expect(stderr).toContain('every port of the host');
    const events = await world.events();
    expect(events[0]).toMatchObject({ backend: 'tart', confinement: 'cooperative' });
    const told = events.flatMap((event) => (event.kind === 'notice' ? [event.code] : []));
    expect(told).toContain('cooperative-confinement');
    const probes = events.flatMap((event) => (event.kind === 'probe' ? [event] : []));
    expect(probes.filter(({ passed }) => !passed)).toEqual([]);
    expect(probes.map(({ detail }) => detail).join('\n')).toMatch(
      new RegExp(`the host at ${GATEWAY} port \\d+, a port that no rule names: reached`),
    );
    expect(probes.map(({ detail }) => detail).join('\n')).toMatch(
      new RegExp(`${HOST_ELSEWHERE} port \\d+: nobody answered`),
    );
  });

  it('is started as docs/tart.md says', async () => {
    const [, section = ''] = DOCUMENT.split('## Weaker links');
    const [, text = ''] = /```yaml\n([^`]+)```/.exec(section) ?? [];
    const [, line = ''] = /\$ sand (run --backend tart --link softnet [^\n]+)/.exec(section) ?? [];
    world.file('softnet.yaml', text);
    const words = line.replace('run ', `run --dns-upstream ${OTHER_MACHINE} `).split(' ');
    const { code, stdout, stderr } = await begin(words);
    expect([code, stdout], stderr).toEqual([0, 'hello of api.example.com\n']);
  });

  it('asks its gateway\u2019s resolver at a port of its own, and has the system\u2019s proxy set', async () => {
    const { code, stdout, stderr } = await shell(
      ['--link', 'softnet', '--policy', policy],
      [
        ...[ALLOWED_NAME, DENIED_NAME].map((name) => `dscacheutil -q host -a name ${name}`),
        `cat /etc/resolver/${ALLOWED_NAME}`,
        'networksetup -getwebproxy Ethernet | head -n 2',
      ].join('\n'),
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        [
          `name: ${ALLOWED_NAME}`,
          'ip_address: 198\\.18\\.[0-9.]+',
          `name: ${DENIED_NAME}`,
          `nameserver ${GATEWAY}`,
          'port [0-9]{4,5}',
          'Enabled: Yes',
          `Server: ${GATEWAY}`,
        ].join('\\n'),
      ),
    );
    const asked = (await world.events()).flatMap((event) => (event.kind === 'dns' ? [event] : []));
    expect(asked).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: ALLOWED_NAME, verdict: 'allow' }),
        expect.objectContaining({ name: DENIED_NAME, verdict: 'deny' }),
      ]),
    );
  });

  it('has a gateway that serves its credential from its address and nobody else, and can be looked at', async () => {
    const up = await begin([
      ...['run', ...TART, '--link', 'softnet', '--policy', policy, '--dns-upstream', OTHER_MACHINE],
      ...['-d', '--name', 'stock', '-p', '18081:8081'],
    ]);
    expect(up, up.stderr).toMatchObject({ code: 0 });
    const exec = (script: string) => begin(['exec', 'stock', '--', 'sh', '-c', script]);
    const { stdout: inspected } = await begin(['inspect', '--json']);
    const { confinement, guest } = JSON.parse(inspected);
    expect(confinement).toBe('cooperative');
    expect(guest).toMatchObject({
      link: 'softnet',
      address: '192.168.64.5',
      inReach: expect.stringContaining('every port of the host'),
    });
    const proxy = `${GATEWAY}:${/proxy port (\d+)/.exec(guest.gateway)?.[1]}`;
    const get = `curl -s -m 5 -o /dev/null -w '%{http_code} ' http://${ALLOWED_NAME}/ -x`;
    const ways = ['"$http_proxy"', `http://${proxy}`, `http://sand:wrong@${proxy}`, `socks5h://${proxy}`];
    const { stdout } = await exec(`${ways.map((way) => `${get} ${way}`).join('; ')}; true`);
    expect(stdout.trim().split(' ')).toEqual(['200', '407', '407', '000']);
    expect(onHost(`${get} http://${proxy}; true`)).toBe('000 ');
    const server = 'python3 -m http.server 8081 --bind 192.168.64.5 >/dev/null 2>&1 & sleep 2; echo up';
    expect(await exec(server)).toMatchObject({ stdout: 'up\n' });
    expect(onHost(`curl -s -m 5 -o /dev/null -w '%{http_code}' http://127.0.0.1:18081/; true`)).toBe('200');
    expect(await begin(['stop', 'stock'])).toMatchObject({ code: 0 });
    const notices = (await world.events()).flatMap((event) => (event.kind === 'notice' ? [event] : []));
    expect(notices).toContainEqual(
      expect.objectContaining({
        code: 'gateway-strangers',
        detail: expect.stringMatching(/^1 connections and datagrams .* and 1 clients/),
      }),
    );
    await begin(['rm', 'stock']);
  });

  it('ends with its supervisor, however that ends', async () => {
    const child = world.start(
      [...['run', ...TART, '--link', 'softnet', '--policy', policy, '--'], 'sh', '-c', 'echo up; sleep 600'],
      {
        through: network.through,
        environment: { SAND_TOOL_PATH: `${softnet}:${TART_BIN}:${SYSTEM_PATH}` },
      },
    );
    await new Promise<void>((resolve) => child.stdout?.once('data', () => resolve()));
    expect(onHost('ip -o link show type tun')).toContain('bridge100');
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    const until = Date.now() + 20_000;
    while (onHost('ip -o link show type tun') !== '' && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(onHost('ip -o link show type tun')).toBe('');
    await begin(['prune']);
    expect(machines()).toEqual([]);
  });

  it('is not started under a policy that requires enforced confinement', async () => {
    const { code, stdout, stderr } = await shell(['--link', 'softnet', '--policy', 'strict'], 'echo ran');
    expect([code, stdout]).toEqual([122, '']);
    expect(stderr).toContain('(confinement-required)');
    expect(stderr).toContain('every port of the host');
    expect(machines()).toEqual([]);
  });

  it('is not started behind a Softnet that is missing, old, or may not become root', async () => {
    const flags = ['--link', 'softnet', '--policy', policy];
    place('--emulated-version', '0.20.1');
    expect(await shell(flags, 'echo ran')).toMatchObject({
      code: 125,
      stdout: '',
      stderr: expect.stringContaining('0.20.1, and --link softnet needs 0.21.0'),
    });
    place('--emulated-powerless');
    expect(await shell(flags, 'echo ran')).toMatchObject({
      code: 125,
      stdout: '',
      stderr: expect.stringContaining('sudo chown root'),
    });
    softnet = join(world.root, 'nowhere');
    expect(await shell(flags, 'echo ran')).toMatchObject({
      code: 125,
      stdout: '',
      stderr: expect.stringContaining('brew install openai/tools/softnet'),
    });
    expect(machines()).toEqual([]);
  });

  it('is not started where Softnet lets through what it was told to block', async () => {
    place('--emulated-nat');
    const { code, stdout, stderr } = await shell(['--link', 'softnet', '--policy', policy], 'echo ran');
    expect([code, stdout], stderr).toEqual([122, '']);
    expect(stderr).toMatch(new RegExp(`${HOST_ELSEWHERE} port \\d+: somebody else answered`));
    expect(machines()).toEqual([]);
  });

  it('has NAT only to be watched, which is told: nothing is kept from it', async () => {
    world.be({ hasNat: true });
    expect(await shell(['--link', 'nat', '--policy', policy], 'echo ran')).toMatchObject({
      code: 122,
      stdout: '',
      stderr: expect.stringContaining('--learn'),
    });
    const { code, stdout, stderr } = await shell(
      ['--link', 'nat', '--policy', policy, '--learn'],
      [
        `curl -sS http://${DENIED_NAME}/`,
        `raw ${OTHER_MACHINE} 80`,
        `dscacheutil -q host -a name ${DENIED_NAME} | tail -n 1`,
      ].join('\n'),
    );
    expect(code, stderr).toBe(0);
    expect(stdout.split('\n')).toEqual([
      `hello of ${DENIED_NAME}`,
      'hello of None',
      `ip_address: ${OTHER_MACHINE}`,
      '',
    ]);
    expect(stderr).toContain('confinement is cooperative (link nat)');
    const details = (await world.events()).flatMap((event) => (event.kind === 'probe' ? [event.detail] : []));
    expect(details.join('\n')).toMatch(new RegExp(`the host at ${HOST_ELSEWHERE} port \\d+, .*: reached`));
  });

  it('of Linux without systemd\u2019s resolver is told to ask the host\u2019s', async () => {
    const { code, stdout, stderr } = await shell(
      ['--link', 'softnet', '--policy', policy, '--image', 'linux'],
      `curl -sS http://${ALLOWED_NAME}/`,
    );
    expect([code, stdout], stderr).toEqual([0, `hello of ${ALLOWED_NAME}\n`]);
    const details = (await world.events()).flatMap((event) => (event.kind === 'probe' ? [event.detail] : []));
    expect(details.join('\n')).toContain('no systemd-resolved');
  });
});
