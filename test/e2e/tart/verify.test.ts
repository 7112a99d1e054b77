/** `sand verify` of the tart backend on its emulator: everything holds there, and where a hole was made on purpose it is open. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Row } from '../../../controller/verify/attack.ts';
import { TART_BIN } from '../../emulators/tart/emulation.ts';
import { outputOf } from '../sand.ts';
import { createHostNetwork } from './host-network.ts';
import { CAN_EMULATE, createTartWorld, TART, type TartWorld } from './tart-world.ts';

/** A hundred and forty attempts, some of them one after the other, on a machine that runs other tests beside. */
const DEADLINE_MS = 240_000;
const LINUX = 'ghcr.io/cirruslabs/ubuntu:latest';

function idsOf(rows: readonly Row[], verdict: Row['verdict']): readonly string[] {
  return rows.filter((row) => row.verdict === verdict && row.must).map(({ id }) => id);
}

describe.skipIf(!CAN_EMULATE)('sand verify of the tart backend', { timeout: DEADLINE_MS + 20_000 }, () => {
  let world: TartWorld;
  let tools: string;
  const verify = (flags: readonly string[]) =>
    world.sand(['verify', ...TART, ...flags], {
      deadlineMs: DEADLINE_MS,
      environment: { SAND_TOOL_PATH: `${tools}:${world.environment.SAND_TOOL_PATH}` },
    });
  const rowsOf = async (flags: readonly string[] = []) => {
    const { code, stdout, stderr } = await verify(['--json', ...flags]);
    const rows: readonly Row[] = JSON.parse(stdout || JSON.stringify(stderr));
    return { code, rows };
  };
  const tool = (name: string, text: string) => {
    writeFileSync(join(tools, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(tools, name), 0o755);
  };

  beforeEach(() => {
    world = createTartWorld();
    world.image(LINUX, { os: 'linux' });
    tools = join(world.root, 'tools');
    mkdirSync(tools);
    // What a Mac has for its clipboard.
    tool('pbpaste', 'echo what was copied');
  });
  afterEach(() => world.end());

  it('holds every attack, and prints the table', async () => {
    const { code, stdout, stderr } = await verify([]);
    expect(stdout, stderr).not.toMatch(/^(OPEN|\?\?\?\?|may )/m);
    for (const line of [
      /^held {2}control: a frame of its own to the gateway +it works$/m,
      /^held {2}raw TCP to 203\.0\.113\.7:443 \(TLS\) +refused, on record \(raw-address\)$/m,
      /^held {2}a network card that nobody knows of +en0 alone is a card, and on the cable$/m,
      /^held {2}as root: another resolver in the system\u2019s settings +refused, on record \(no-rule\)$/m,
      /^held {2}IPv6: announcing itself as a router +nobody answered$/m,
      /^held {2}writing into a read-only share, as root +it failed \(EROFS\)$/m,
      /^held {2}a policy of its own in that file, and what it +refused, on record \(no-rule\)$/m,
      /^held {2}putting something on your clipboard +nothing of it is on yours$/m,
    ])
      expect(stdout).toMatch(line);
    expect(stdout).toContain('A guest of tart is confined on this machine');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(code).toBe(0);
  });

  it('holds every attack of a guest of Linux', async () => {
    const { code, rows } = await rowsOf(['--image', LINUX]);
    expect([idsOf(rows, 'open'), idsOf(rows, 'untold')]).toEqual([[], []]);
    expect(rows.length).toBeGreaterThan(120);
    expect(code).toBe(0);
  });

  it('is open where the tool gives the guest a second card', async () => {
    world.be({ faults: [{ fault: 'second-card' }] });
    const { code, rows } = await rowsOf();
    expect(rows.find(({ id }) => id === 'interfaces')).toMatchObject({
      verdict: 'open',
      happened: 'another card: en1',
    });
    expect(code).toBe(1);
  });

  it('is open where the tool makes a share writable that is not to be, and where a clipboard is shared', async () => {
    tool(
      'tart',
      `if [ "$1" = run ]; then
  for word; do shift; case $word in --dir=*:ro) word=\${word%:ro} ;; esac; set -- "$@" "$word"; done
fi
exec ${TART_BIN}/tart "$@"`,
    );
    // The word that the guest copies is the one that the allowed name begins with.
    tool('pbpaste', `cat ${tmpdir()}/sand-verify-*/workspace/sand.policy.yaml`);
    const { code, rows } = await rowsOf();
    expect(idsOf(rows, 'open')).toEqual(
      expect.arrayContaining(['write-read-only', 'root-read-only', 'remount-read-only', 'clipboard']),
    );
    expect(code).toBe(1);
  });

  it('is open where a service of the host is in reach by the cable', async () => {
    const script = fileURLToPath(new URL('../verify-support/leaky-cable.ts', import.meta.url));
    const child = spawn(process.execPath, [script], {
      env: { ...world.environment, SAND_TOOL_PATH: `${tools}:${world.environment.SAND_TOOL_PATH}` },
      cwd: world.workspace,
    });
    const { stdout, stderr } = await outputOf(child, '', DEADLINE_MS);
    const rows: readonly Row[] = JSON.parse(stdout || JSON.stringify(stderr));
    const open = idsOf(rows, 'open');
    expect(open).toContain('canaries');
    expect(open.filter((id) => id.startsWith('tcp-198-18-0-1-'))).toHaveLength(1);
    expect(rows.find(({ id }) => id === 'control-proxy')).toMatchObject({ verdict: 'held' });
  });
});

describe.skipIf(!CAN_EMULATE)(
  'sand verify of a link that only asks',
  { timeout: DEADLINE_MS + 20_000 },
  () => {
    it('does not call a guest on stock Softnet confined, and names the link', async () => {
      const network = await createHostNetwork();
      const world = createTartWorld();
      try {
        const place = join(world.root, 'softnet');
        mkdirSync(place);
        const vmnet = fileURLToPath(new URL('../../emulators/tart-stock/vmnet.py', import.meta.url));
        writeFileSync(join(place, 'softnet'), `#!/bin/sh\nexec python3 '${vmnet}' "$@"\n`, { mode: 0o755 });
        const { code, stdout, stderr } = await world.sand(['verify', ...TART, '--link', 'softnet'], {
          deadlineMs: DEADLINE_MS,
          through: network.through,
          environment: { SAND_TOOL_PATH: `${place}:${world.environment.SAND_TOOL_PATH}` },
        });
        expect(stdout, stderr).toMatch(
          /^OPEN {2}a network card that nobody knows of +en0 has 192\.168\.64\.\d+/m,
        );
        expect(stdout).toContain('A guest of tart with --link softnet is NOT confined on this machine');
        expect(code).toBe(1);
      } finally {
        await world.end();
        await network.end();
      }
    });
  },
);
