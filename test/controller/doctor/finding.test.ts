import { describe, expect, it } from 'vitest';
import { excerpt, guardCheck, ok } from '../../../controller/doctor/finding.ts';

describe('a guarded check', () => {
  it('gives what it found', async () => {
    expect(await guardCheck('one', 1000, () => [ok('one', 'fine')])).toEqual([ok('one', 'fine')]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('broken\nin two lines');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken\nin two lines'))],
  ])('that %s is a failed check', async (_, run) => {
    const [finding] = await guardCheck('one', 1000, run);
    expect(finding).toMatchObject({
      check: 'one',
      state: 'failed',
      message: 'could not be finished: broken in two lines',
    });
  });

  it('that never ends is a failed check', async () => {
    const [finding] = await guardCheck('one', 10, () => new Promise(() => {}));
    expect(finding).toMatchObject({ check: 'one', state: 'failed', message: 'did not end within 10 ms' });
  });
});

describe('an excerpt', () => {
  it('is one line of a bounded length', () => {
    expect(excerpt('  a\n\tb\r\nc  ')).toBe('a b c');
    expect(excerpt('x'.repeat(1_000_000))).toHaveLength(240);
  });
});
