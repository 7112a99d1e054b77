import { describe, expect, it } from 'vitest';
import { judgeGvisor } from '../../../../../controller/backends/linux/gvisor/checks.ts';
import type { Attempt } from '../../../../../controller/doctor/attempt.ts';

const install = (name: string) => `install ${name}`;
const VERSION: Attempt = {
  kind: 'ran',
  exitCode: 0,
  stdout: 'runsc version release-20260101.0\nspec: 1.1.0\n',
  stderr: '',
};

function ran(exitCode: number, stdout: string, stderr = ''): Attempt {
  return { kind: 'ran', exitCode, stdout, stderr };
}

describe('judgeGvisor', () => {
  it.each<readonly [string, Attempt, Attempt | null, string, RegExp]>([
    ['a runsc that works', VERSION, ran(0, 'started\n/\n'), 'ok', /^runsc release-20260101.0$/],
    ['none', { kind: 'missing' }, null, 'ok', /not installed/],
    ['one that is too old', VERSION, ran(2, 'started\n', 'ls: Invalid argument'), 'warning', /too old/],
    ['one that does not start', VERSION, ran(128, '', 'creating container: no'), 'warning', /cannot start/],
    ['one that hangs', VERSION, { kind: 'slow', timeoutMs: 5 }, 'warning', /cannot start.*5 ms/],
    ['another program', ran(0, 'hello\n'), ran(0, ''), 'warning', /does not say its version/],
    ['no namespaces', VERSION, null, 'warning', /not tried/],
  ])('finds %s', (_, version, trial, state, message) => {
    const finding = judgeGvisor({ version, trial }, install);
    expect(finding.state).toBe(state);
    expect(finding.message).toMatch(message);
  });
});
