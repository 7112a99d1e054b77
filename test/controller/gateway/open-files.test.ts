import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  connectionsWithin,
  readOpenFiles,
  reportedOpenFiles,
} from '../../../controller/gateway/open-files.ts';
import { PROXY_LIMITS } from '../../../proxy/limits.ts';

const WANTED = PROXY_LIMITS.connections;

it('the usual limits of a machine carry all that a guest may open', () => {
  for (const openFiles of [4_096, 20_000, 1_048_576]) {
    expect(connectionsWithin(openFiles, 512, WANTED)).toBe(WANTED);
  }
  expect(connectionsWithin(null, 0, WANTED)).toBe(WANTED);
});

it('few descriptors carry fewer, each with its upstream, and what sand needs itself is set aside', () => {
  const carried = connectionsWithin(1_024, 10, WANTED);
  expect(carried).toBeGreaterThan(100);
  expect(2 * carried).toBeLessThan(1_024 - 512 - 10);
  expect(connectionsWithin(64, 10, WANTED)).toBe(16);
  expect(connectionsWithin(1_024, 10, 20)).toBe(20);
});

it('the limit is read as the kernel tells it, and is unknown where nobody does', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sand-limits-'));
  const path = join(folder, 'limits');
  writeFileSync(
    path,
    'Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n',
  );
  expect(readOpenFiles(path)).toBe(1_024);
  writeFileSync(path, 'Max open files            unlimited            unlimited            files\n');
  expect(readOpenFiles(path)).toBeNull();
  rmSync(folder, { recursive: true });
  expect(readOpenFiles(path, () => null)).toBeNull();
  expect(readOpenFiles(path, () => 245_760)).toBe(245_760);
});

it('without /proc the limit is what Node reports of this process, which on Linux is the same', () => {
  expect(reportedOpenFiles()).toBe(readOpenFiles());
  const soft = (value: unknown) => () => ({ userLimits: { open_files: { soft: value, hard: 'unlimited' } } });
  expect(reportedOpenFiles(soft(61_440))).toBe(61_440);
  for (const report of [soft('unlimited'), soft(-1), () => null, () => ({ userLimits: {} })])
    expect(reportedOpenFiles(report)).toBeNull();
});
