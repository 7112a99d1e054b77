/** The bound of a tool's call, whatever number it is. */
import { describe, expect, it } from 'vitest';
import { runTool } from '../../../controller/process/runner.ts';

describe('a tool', () => {
  it('is bounded by what is left of a limit, which is no whole number', async () => {
    expect(await runTool('true', [], { timeoutMs: 9_998.942549 })).toMatchObject({ exitCode: 0 });
    expect(await runTool('sleep', ['60'], { timeoutMs: 50.5 })).toMatchObject({ timedOut: true });
  });
});
