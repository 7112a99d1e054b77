/** A guest of the tart backend on the host's own networks, on its emulator: what stock Softnet keeps from it, what it does not, and what NAT does. */
import { mkdirSync, writeFileSync } from 'node:fs';
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

  beforeAll(async () => {
    network = await createHostNetwork();
    world = createTartWorld();
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
    console.log(JSON.stringify(events.map((e) => e), null, 0));
  });
});
