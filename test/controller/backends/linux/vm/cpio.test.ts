import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeArchive } from '../../../../../controller/backends/linux/vm/cpio.ts';

const ENTRIES = [
  { kind: 'directory', path: 'bin', mode: 0o755 },
  { kind: 'file', path: 'bin/tool', mode: 0o755, content: Buffer.from('odd') },
  { kind: 'file', path: 'empty', mode: 0o600, content: Buffer.alloc(0) },
  { kind: 'symlink', path: 'bin/sh', value: 'tool' },
] as const;
const READER = ['/usr/bin/busybox', '/bin/busybox'].find((path) => existsSync(path));

describe('encodeArchive', () => {
  it('writes thirteen fields after the magic, everything at multiples of four', () => {
    const archive = encodeArchive([ENTRIES[1]]);
    expect(archive.subarray(0, 6).toString()).toBe('070701');
    const fields = (archive.subarray(6, 110).toString().match(/.{8}/g) ?? []).map((hex) =>
      Number.parseInt(hex, 16),
    );
    expect(fields).toEqual([1, 0o100755, 0, 0, 1, 0, 3, 0, 0, 0, 0, 9, 0]);
    expect(archive.subarray(110, 119).toString()).toBe('bin/tool\0');
    expect(archive.subarray(120, 124).toString()).toBe('odd\0');
    expect(archive.subarray(124, 130).toString()).toBe('070701');
    expect(archive.length % 4).toBe(0);
  });

  it('gives the same bytes for the same entries', () => {
    expect(encodeArchive(ENTRIES).equals(encodeArchive(ENTRIES))).toBe(true);
  });

  it.skipIf(READER === undefined)('is read back by another program', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sand-cpio-'));
    try {
      execFileSync(READER ?? '', ['cpio', '-idm'], {
        cwd: folder,
        input: encodeArchive(ENTRIES),
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      expect(readFileSync(join(folder, 'bin/tool'), 'utf8')).toBe('odd');
      expect(readFileSync(join(folder, 'empty'), 'utf8')).toBe('');
      expect(readlinkSync(join(folder, 'bin/sh'))).toBe('tool');
      expect(lstatSync(join(folder, 'empty')).mode & 0o777).toBe(0o600);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
