import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type FollowStep, followAuditLog } from '../../audit/follow.ts';
import { connection, dns, linesOf, runEnd, runStart, temporaryDirectory } from './samples.ts';

const LOG = linesOf([runStart(), dns(), connection(), runEnd()]).map((line) => `${line}\n`);
const [first = '', second = '', third = '', seal = ''] = LOG;

function logWith(text: string): string {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  writeFileSync(path, text);
  return path;
}

/** Each step as a word, or the sequence numbers that it brings. */
function told(step: FollowStep): unknown {
  if (step.kind !== 'lines') return step.kind;
  return step.lines.map((line) => (line.ok ? line.event.seq : line.problem));
}

test('a sealed log is told to its seal', async () => {
  const steps = await Array.fromAsync(followAuditLog(logWith(LOG.join(''))));
  expect(steps.map(told)).toEqual([[1, 2, 3, 4], 'sealed']);
});

test('what is written later is told when it is whole', async () => {
  const path = logWith(first);
  const steps: unknown[] = [];
  for await (const step of followAuditLog(path)) {
    steps.push(told(step));
    if (step.kind === 'caught-up') appendFileSync(path, second + third.slice(0, 20));
    if (steps.length === 3) appendFileSync(path, third.slice(20) + seal);
  }
  expect(steps).toEqual([[1], 'caught-up', [2], [3, 4], 'sealed']);
});

test('a signal ends the following', async () => {
  const stop = new AbortController();
  const steps: unknown[] = [];
  for await (const step of followAuditLog(logWith(first), { signal: stop.signal })) {
    steps.push(told(step));
    if (step.kind === 'caught-up') stop.abort();
  }
  expect(steps).toEqual([[1], 'caught-up']);
});

test('a run whose supervisor is gone ends the following, after its last lines', async () => {
  const path = logWith(first);
  let asked = 0;
  const alive = () => {
    asked += 1;
    if (asked === 2) appendFileSync(path, second + third.slice(0, 20));
    return asked < 2;
  };
  const steps = await Array.fromAsync(followAuditLog(path, { alive }));
  expect(steps.map(told)).toEqual([[1], 'caught-up', [2], 'abandoned']);
  expect(steps.at(-1)).toMatchObject({ torn: { ok: false, line: 3, problem: 'torn' } });
});

test('a log that becomes shorter ends the following', async () => {
  const path = logWith(first + second);
  const steps: unknown[] = [];
  for await (const step of followAuditLog(path)) {
    steps.push(told(step));
    if (step.kind === 'caught-up') truncateSync(path, 10);
  }
  expect(steps).toEqual([[1, 2], 'caught-up', 'shortened']);
});
