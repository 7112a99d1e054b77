/**
 * Runs each fuzz target: seconds in the ordinary tests, as long as `npm run fuzz` says otherwise. Its budget
 * and its target come in the environment, and a found case goes to `regressions/`.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mutated, readCorpus, readRegressions } from './mutation.ts';
import { TARGETS } from './targets.ts';

const MINUTES = Number(process.env.SAND_FUZZ_MINUTES ?? 0);
const WANTED = process.env.SAND_FUZZ_TARGET ?? '';
/** No input may take longer: the slowest honest ones take milliseconds. */
const INPUT_DEADLINE_MS = 5_000;
const SHORT_RUNS = 1_500;
const SLOW_SHORT_RUNS = 300;
const SETTLE_MS = 200;
/** Above what a run of any length may keep. */
const KEPT_BYTES = 96 * 1024 * 1024;

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  collect();
  return process.memoryUsage().heapUsed;
}

describe.each(Object.entries(TARGETS).filter(([name]) => WANTED === '' || name === WANTED))(
  '%s',
  (name, target) => {
    const seeds = target.corpus.flatMap(readCorpus);
    const shortRuns = name === 'policy-file' || name === 'proxy-port' ? SLOW_SHORT_RUNS : SHORT_RUNS;
    const timeout = MINUTES * 60_000 + 60_000;

    const guarded = async (take: (bytes: Buffer) => Promise<void> | void, bytes: Buffer) => {
      const began = performance.now();
      await take(bytes);
      if (performance.now() - began > INPUT_DEADLINE_MS) throw new Error('an input that takes seconds');
    };

    it('survives what was recorded, and what was found before', { timeout }, async () => {
      const running = await target.start();
      for (const { bytes } of [...seeds, ...readRegressions(name)]) await guarded(running.take, bytes);
      await running.stop();
    });

    it('survives any change to it, in bounded memory', { timeout }, async () => {
      const running = await target.start();
      const before = heapBytes();
      const checked = await fc.check(
        fc.asyncProperty(mutated(seeds), (bytes) => guarded(running.take, bytes)),
        MINUTES > 0
          ? {
              numRuns: Number.MAX_SAFE_INTEGER,
              interruptAfterTimeLimit: MINUTES * 60_000,
              markInterruptAsFailure: false,
            }
          : { numRuns: shortRuns },
      );
      await running.stop();
      if (MINUTES > 0) console.log(`${name}: ${checked.numRuns} inputs, seed ${checked.seed}`);
      const [found] = checked.counterexample ?? [];
      if (checked.failed && found !== undefined) {
        const digest = createHash('sha256').update(found).digest('hex').slice(0, 12);
        const file = new URL(`./regressions/${name}-${digest}.bin`, import.meta.url);
        if (MINUTES > 0) writeFileSync(file, found);
        throw new Error(
          `seed ${checked.seed}, path ${checked.counterexamplePath}: ${String(checked.errorInstance)}; input ${found.toString('hex')}`,
        );
      }
      // What waits for its turn to be let go is not kept.
      await delay(SETTLE_MS);
      expect(heapBytes() - before).toBeLessThan(KEPT_BYTES);
    });
  },
);
