/**
 * Fuzzes for as long as it is told: `--minutes N` for each target, `--target NAME` for one of them. The targets
 * and what must hold are with the tests; this only sets their budget and passes on how they ended.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const ROOT = new URL('../', import.meta.url).pathname;

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, target: { type: 'string', default: '' } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0 && minutes <= 24 * 60)) {
  console.error('--minutes is a number from 0 to 1440');
  process.exit(2);
}
const run = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', 'test/fuzz', '--project=units', '--disable-console-intercept'],
  {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, SAND_FUZZ_MINUTES: String(minutes), SAND_FUZZ_TARGET: values.target },
  },
);
process.exitCode = run.status ?? 1;
