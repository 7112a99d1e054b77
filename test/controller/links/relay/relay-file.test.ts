import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SandError } from '../../../../controller/errors.ts';
import { readRelayFile } from '../../../../controller/links/relay/relay-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sand-relay-file-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function build(digests: unknown, program = 'the program'): void {
  mkdirSync(join(folder, 'arm64'));
  writeFileSync(join(folder, 'arm64/sand-relay'), program);
  writeFileSync(
    join(folder, 'digests.json'),
    typeof digests === 'string' ? digests : JSON.stringify(digests),
  );
}

function failure(): SandError {
  try {
    readRelayFile('arm64', [join(folder, 'nowhere'), folder]);
  } catch (error) {
    if (error instanceof SandError) return error;
  }
  throw new Error('it did not fail as it must');
}

const sha256 = createHash('sha256').update('the program').digest('hex');

it('hands over the program of the first place that has one, with its digest', () => {
  build({ arm64: { sha256, size: 11 } });
  const file = readRelayFile('arm64', [join(folder, 'nowhere'), folder]);
  expect(file).toMatchObject({ path: join(folder, 'arm64/sand-relay'), sha256 });
  expect(Buffer.from(file.bytes).toString()).toBe('the program');
});

it('refuses a program that is not the one that was built', () => {
  build({ arm64: { sha256, size: 11 } }, 'another program');
  expect(failure()).toMatchObject({ code: 'tool-failed' });
  expect(failure().hint).toContain('npm run build:relay');
});

it('says what builds it where there is none', () => {
  expect(failure()).toMatchObject({ code: 'tool-missing' });
  expect(failure().hint).toContain('npm run build:relay');
});

it.each([
  '',
  '{',
  'null',
  '[]',
  '{"x64": {}}',
  '{"arm64": null}',
  '{"arm64": {"sha256": 7}}',
  '{"arm64": {"sha256": ""}}',
])('takes no digest out of %j', (digests) => {
  build(digests);
  expect(failure()).toMatchObject({ code: 'tool-missing' });
});

it('misses the program of an architecture that was not built', () => {
  build({ arm64: { sha256, size: 11 } });
  rmSync(join(folder, 'arm64'), { recursive: true });
  expect(failure()).toMatchObject({ code: 'tool-missing' });
});
