/** `sand verify` on the backends of this machine: on real ones everything holds, and on ones with a hole made on purpose it does not. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Row } from '../../../controller/verify/attack.ts';
import { EMULATOR_BIN } from '../../emulators/container/emulation.ts';
import { APPLE, type AppleWorld, CAN_EMULATE, createAppleWorld } from '../apple/apple-world.ts';
import { CALLERS, createWorld, outputOf, type World } from '../sand.ts';

/** A hundred attempts at once, on a machine that runs other tests beside. */
const DEADLINE_MS = 240_000;
const LONG_MS = DEADLINE_MS + 20_000;

function notHeld(rows: readonly Row[]): readonly Row[] {
  return rows.filter(({ verdict, must }) => verdict !== 'held' && must);
}

function open(rows: readonly Row[]): readonly string[] {
  return rows.filter(({ verdict }) => verdict === 'open').map(({ id }) => id);
}

describe.each(CALLERS)('sand verify of the linux backend, for the %s', (who) => {
  let world: World;
  beforeAll(() => {
    world = createWorld(who);
  });
  afterAll(() => world.remove());

  it('holds every attack, exits with 0 and leaves nothing', { timeout: LONG_MS }, async () => {
    const { code, stdout, stderr } = await world.sand(['verify', '--backend', 'linux', '--json'], {
      deadlineMs: DEADLINE_MS,
    });
    const rows: readonly Row[] = JSON.parse(stdout);
    expect(notHeld(rows), stderr).toEqual([]);
    expect(rows.length).toBeGreaterThan(90);
    expect(code).toBe(0);
    expect(readdirSync(world.environment.HOME ?? '').filter((name) => name.includes('sand-verify'))).toEqual(
      [],
    );
  });
});

describe.skipIf(!CAN_EMULATE)('sand verify of the apple-container backend, on its emulator', () => {
  let world: AppleWorld;
  beforeAll(() => {
    world = createAppleWorld();
  });
  afterAll(() => world.end());
  const verify = (flags: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
    world.sand(['verify', ...APPLE, ...flags], { deadlineMs: DEADLINE_MS, environment });

  it('holds every attack that has to hold, and prints the table', { timeout: LONG_MS }, async () => {
    const { code, stdout, stderr } = await verify([]);
    expect(stdout, stderr).not.toMatch(/^(OPEN|\?\?\?\?)/m);
    expect(stdout).toMatch(
      /^held {2}raw TCP to 203\.0\.113\.7:443 \(TLS\) +refused, on record \(raw-address\)$/m,
    );
    expect(stdout).toMatch(
      /^held {2}gateway socket, claiming 127\.0\.0\.1:\d+ +refused, on record \(raw-address\)$/m,
    );
    expect(stdout).toContain('A guest of apple-container is confined on this machine');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(code).toBe(0);
  });

  it('is open where the tool gives the guest a folder of the host besides', {
    timeout: LONG_MS,
  }, async () => {
    const place = join(world.root, 'leaky');
    mkdirSync(place);
    const leaky = `#!/bin/sh
if [ "$1" = create ]; then shift; exec ${EMULATOR_BIN}/container create -v ${tmpdir()}:${tmpdir()} "$@"; fi
exec ${EMULATOR_BIN}/container "$@"
`;
    writeFileSync(join(place, 'container'), leaky);
    chmodSync(join(place, 'container'), 0o755);
    const tools = `${place}:${world.environment.SAND_TOOL_PATH}`;
    const { code, stdout } = await verify(['--json'], { SAND_TOOL_PATH: tools });
    expect(open(JSON.parse(stdout))).toEqual(expect.arrayContaining(['canaries', 'host-socket', 'secret-0']));
    expect(code).toBe(1);
  });

  it('is open where the tool says that the guest has a network', { timeout: LONG_MS }, async () => {
    world.be({ faults: [{ fault: 'lying-network' }] });
    const { code, stdout } = await verify(['--json']);
    expect(open(JSON.parse(stdout))).toEqual(['start-probes']);
    expect(code).toBe(1);
  });

  it('exits with 125 where the tool does not answer', { timeout: LONG_MS }, async () => {
    world.be({ server: 'down', faults: [] });
    const { code, stderr } = await verify([]);
    expect(stderr).toContain('container system start');
    expect(code).toBe(125);
  });
});

describe.skipIf(!CAN_EMULATE)('sand verify of a guest that runs on the host itself', () => {
  it('is open wherever the host’s own network, secrets and files were in reach', {
    timeout: LONG_MS,
  }, async () => {
    const home = mkdtempSync(join(tmpdir(), 'unconfined-'));
    try {
      const script = fileURLToPath(new URL('../verify-support/unconfined.ts', import.meta.url));
      const commands = 'ip link set lo up && exec "$0" "$1" "$2"';
      const inside = [
        '--net',
        '--pid',
        '--fork',
        '--mount-proc',
        'sh',
        '-c',
        commands,
        process.execPath,
        script,
        home,
      ];
      chmodSync(home, 0o755);
      const { stdout, stderr } = await outputOf(spawn('unshare', inside), '', DEADLINE_MS);
      const rows: readonly Row[] = JSON.parse(stdout || `"${stderr}"`);
      const found = open(rows);
      expect(found).toEqual(expect.arrayContaining(['canaries', 'way-in', 'privileges']));
      for (const beginning of ['tcp-127-0-0-1-', 'udp-127-0-0-1-', 'connect-127-0-0-1-'])
        expect(
          found.filter((id) => id.startsWith(beginning)),
          beginning,
        ).toHaveLength(1);
      expect(rows.filter(({ id, verdict }) => id.startsWith('control-') && verdict === 'held')).toEqual([]);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
});
