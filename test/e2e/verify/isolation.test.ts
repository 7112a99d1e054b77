/** `sand verify` under each isolation that the linux backend has besides its usual one: where it can be had, everything holds. */
import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import type { Row } from '../../../controller/verify/attack.ts';
import { CALLERS, createWorld, type World } from '../sand.ts';
import { createMachineWorld, HAS_MACHINE, WITHOUT_MACHINE } from '../vm-world.ts';

const HAS_RUNSC = spawnSync('runsc', ['--version']).status === 0;
/** A kernel of its own, on a processor that is emulated. */
const DEADLINE_MS = 540_000;

let world: World | null = null;
afterEach(() => {
  world?.remove();
  world = null;
});

async function verify(made: World, isolation: string) {
  world = made;
  const { code, stdout, stderr } = await made.sand(['verify', '--isolation', isolation, '--json'], {
    deadlineMs: DEADLINE_MS,
  });
  const rows: readonly Row[] = JSON.parse(stdout || JSON.stringify(stderr));
  const [start] = await made.events();
  return { code, start, rows, notHeld: rows.filter(({ verdict, must }) => verdict !== 'held' && must) };
}

describe('sand verify --isolation', () => {
  it.skipIf(!HAS_RUNSC).each(CALLERS)(
    'gvisor holds every attack for the %s',
    { timeout: DEADLINE_MS },
    async (who) => {
      const { code, start, rows, notHeld } = await verify(createWorld(who), 'gvisor');
      expect(start).toMatchObject({ kind: 'run-start', isolation: 'gvisor' });
      expect(notHeld).toEqual([]);
      expect(rows.length).toBeGreaterThan(90);
      expect(code).toBe(0);
    },
  );

  it.skipIf(!HAS_MACHINE)(`vm holds every attack${WITHOUT_MACHINE}`, { timeout: DEADLINE_MS }, async () => {
    const { code, start, rows, notHeld } = await verify(createMachineWorld('caller'), 'vm');
    expect(start).toMatchObject({ kind: 'run-start', isolation: 'vm' });
    expect(notHeld).toEqual([]);
    expect(rows.find(({ id }) => id === 'interfaces')).toMatchObject({
      happened: expect.stringContaining('eth0'),
    });
    expect(code).toBe(0);
  });

  it('is refused where there is no such isolation, or the backend has none of it', async () => {
    world = createWorld();
    expect(await world.sand(['verify', '--isolation', 'box'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('write one of: namespaces, gvisor, vm'),
    });
    expect(await world.sand(['verify', '--isolation', 'gvisor', '--image', './no.tar'])).toMatchObject({
      code: 2,
    });
  });
});
