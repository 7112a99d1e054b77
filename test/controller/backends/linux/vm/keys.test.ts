import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createKeyPair } from '../../../../../controller/backends/linux/vm/keys.ts';

const HAS_KEYGEN = spawnSync('ssh-keygen', ['-?']).error === undefined;

describe('createKeyPair', () => {
  it('makes another pair each time', () => {
    expect(createKeyPair().privateKey).not.toBe(createKeyPair().privateKey);
  });

  it.skipIf(!HAS_KEYGEN)('gives what OpenSSH reads, both halves of one pair', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sand-keys-'));
    try {
      const { privateKey, publicLine } = createKeyPair();
      writeFileSync(join(folder, 'key'), privateKey, { mode: 0o600 });
      const read = spawnSync('ssh-keygen', ['-y', '-f', join(folder, 'key')], { encoding: 'utf8' });
      expect(read.stdout.trim()).toBe(publicLine);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
