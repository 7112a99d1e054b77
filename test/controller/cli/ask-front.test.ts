import { expect, it } from 'vitest';
import { planAsking } from '../../../controller/cli/ask-front.ts';

const TERMINAL = { isTTY: true };
const OTHER = {};

function plan(ask: boolean, ci: boolean, json = false) {
  let told = '';
  const planned = planAsking(
    { ask, ci, json },
    { stdin: TERMINAL, stdout: TERMINAL, stderr: OTHER },
    (text) => {
      told += text;
    },
  );
  return { ...planned, asks: planned.front !== null, told: () => told };
}

it('without the flag, or in CI, nobody is asked and the streams stay as they are', () => {
  for (const [ask, ci] of [
    [false, false],
    [false, true],
    [true, true],
  ] as const) {
    const planned = plan(ask, ci);
    expect(planned).toMatchObject({ asks: false, terminal: true, stdio: ['inherit', 'inherit', 'inherit'] });
    expect(planned.told()).toBe(ask ? 'sand: --ask asks nobody in CI: what no rule allows is denied\n' : '');
  }
  expect(plan(false, false, true).stdio).toEqual(['inherit', 'pipe', 'inherit']);
});

it('a command that has the terminal keeps it, and is told where to answer', () => {
  const planned = plan(true, false);
  expect(planned).toMatchObject({ asks: true, terminal: true, stdio: ['inherit', 'inherit', 'inherit'] });
  expect(planned.free()).toBe(undefined);
});
