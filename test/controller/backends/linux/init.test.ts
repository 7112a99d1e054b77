import { describe, expect, it } from 'vitest';
import { startInit } from '../../../../controller/backends/linux/init.ts';
import { until } from '../../../e2e/lifecycle/conditions.ts';
import { processes } from '../../../e2e/lifecycle/remains.ts';

/** Stands for bubblewrap's child, which waits for a leave that a killed bubblewrap never gives. */
const waiting = (mark: string) => ['sleep', mark];
const launched = (mark: string, then: string) => ({
  file: 'sh',
  args: ['-c', `${waiting(mark).join(' ')} & ${then}`],
  data: [],
});
const isThere = (mark: string) =>
  processes().some(({ commandLine }) => commandLine === waiting(mark).join(' '));
const gone = (mark: string) => until('its end', () => !isThere(mark));

describe('a guest whose bubblewrap is killed while it sets up', () => {
  it('leaves nothing where it was killed from outside', async () => {
    const mark = '7301';
    await expect(startInit(launched(mark, 'kill -9 $$'), new AbortController().signal)).rejects.toMatchObject(
      { code: 'guest-failed' },
    );
    await gone(mark);
  });

  it('leaves nothing where the run is aborted', async () => {
    const mark = '7302';
    const aborting = new AbortController();
    const start = startInit(launched(mark, 'wait'), aborting.signal);
    const settled = start.then(
      () => 'up',
      () => 'failed',
    );
    await until('the child', () => isThere(mark));
    aborting.abort();
    expect(await settled).toBe('failed');
    await gone(mark);
  });
});
