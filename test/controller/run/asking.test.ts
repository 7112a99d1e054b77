import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settingsFor } from '../../../controller/run/asking.ts';

describe('the answer that writes a line', () => {
  let base: string;
  beforeEach(() => {
    base = realpathSync(mkdtempSync(join(tmpdir(), 'asking-')));
    mkdirSync(join(base, 'work'));
  });
  afterEach(() => rmSync(base, { recursive: true }));

  const offered = (protection: 'held' | 'restored', file: string | null, writable = true) =>
    settingsFor({ front: () => () => {}, file }, protection, [
      { source: join(base, 'work'), target: '/work', writable },
    ]).file;

  it('is not offered where the guest could write the file and its end undoes that', () => {
    const inside = join(base, 'work/sand.policy.yaml');
    const outside = join(base, 'sand.policy.yaml');
    expect(offered('restored', inside)).toBeNull();
    expect(offered('restored', inside, false)).toBe(inside);
    expect(offered('restored', outside)).toBe(outside);
    expect(offered('held', inside)).toBe(inside);
    expect(offered('restored', null)).toBeNull();
  });
});
