/**
 * kill -9 of sand and of each of its helpers, stopped and running, at random moments: nothing of the run stays,
 * and sand itself ends and says so. The seed is printed; SAND_TEST_SEED repeats a series.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, type World } from '../sand.ts';
import { follow, until } from './conditions.ts';
import { filesBelow, inRole, type Role, watchRun } from './remains.ts';

const DEADLINE_MS = 5_000;
/** Of a run that lives for as long as it is let; random moments spread over its start and its first breath. */
const SPREAD_MS = 700;
const MOMENTS = 20;
const ROLES: readonly Role[] = [
  'sand',
  'unshare',
  'planter',
  'holder',
  'prober',
  'guard',
  'init',
  'nsenter',
  'monitor',
  'command',
];

const seed = Number(process.env.SAND_TEST_SEED ?? Date.now() % 1_000_000);

/** mulberry32: the same series for the same seed. */
function createRandom(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Moment {
  readonly role: Role;
  readonly stopped: boolean;
  readonly delayMs: number;
}

const random = createRandom(seed);
const moments: readonly Moment[] = Array.from({ length: MOMENTS }, (_, at) => ({
  role: ROLES[at % ROLES.length] ?? 'sand',
  stopped: at % 2 === Math.floor(at / ROLES.length) % 2,
  delayMs: Math.round(random() * SPREAD_MS),
}));

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself; then there is nothing to kill.
  }
}

async function passed(delayMs: number): Promise<void> {
  const from = performance.now();
  await until('the moment', () => performance.now() - from >= delayMs);
}

describe(`kill -9 (seed ${seed})`, () => {
  const worlds = new Map<string, World>();
  beforeAll(() => {
    console.log(`SAND_TEST_SEED=${seed}`);
    for (const who of CALLERS) worlds.set(who, createWorld(who));
  });
  afterAll(() => {
    for (const world of worlds.values()) world.remove();
  });

  const begin = (at: number) => {
    const world = worlds.get(CALLERS[at % CALLERS.length] ?? 'caller') ?? createWorld();
    const marker = `sleep ${600 + at}`;
    const before = filesBelow(world.root, ['state', 'cache']);
    const run = follow(world.start(['run', '--policy', 'strict', '--', ...marker.split(' ')]));
    const watch = watchRun(run.pid, world.root);
    const nothingRemains = async () => {
      await watch.nothingRemains(DEADLINE_MS);
      expect(filesBelow(world.root, ['state', 'cache'])).toEqual(before);
    };
    return { marker, run, nothingRemains };
  };

  it.each(moments.map((moment, at) => ({ ...moment, at })))(
    'moment $at: $role, stopped first: $stopped, $delayMs ms after it is there',
    async ({ role, stopped, delayMs, at }) => {
      const { marker, run, nothingRemains } = begin(at);
      // The prober lives for the blink of an eye: where it was missed, the command takes its place.
      const look = () =>
        inRole(run.pid, role, marker) ?? (role === 'prober' ? inRole(run.pid, 'command', marker) : null);
      const pid = await until(`the ${role}`, look);
      if (role !== 'prober') await passed(delayMs);
      if (stopped) send(pid, 'SIGSTOP');
      send(pid, 'SIGKILL');
      expect(await run.ended(DEADLINE_MS)).not.toBe(0);
      if (!['sand', 'command', 'prober'].includes(role)) {
        expect(run.stderr()).toMatch(/\((link-failed|guest-failed|probe-failed)\)/);
      }
      await nothingRemains();
    },
  );

  it.each(['sand', 'planter', 'holder', 'guard', 'init', 'nsenter', 'monitor', 'command'] as const)(
    'kill -9 of sand while its %s is stopped',
    async (role) => {
      const { marker, run, nothingRemains } = begin(MOMENTS + ROLES.indexOf(role));
      const command = await until('the command', () => inRole(run.pid, 'command', marker));
      const pid =
        role === 'command' ? command : await until(`the ${role}`, () => inRole(run.pid, role, marker));
      send(pid, 'SIGSTOP');
      send(run.pid, 'SIGKILL');
      expect(await run.ended(DEADLINE_MS)).toBe(137);
      await nothingRemains();
    },
  );
});
