import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { joiningArguments } from '../../../controller/resources/join.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sand-join-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(files: readonly string[], command: readonly string[]) {
  const [file = '', ...args] = [...joiningArguments(files), ...command];
  return spawnSync(file, args, { encoding: 'utf8' });
}

it('is nothing where there is nothing to join', () => {
  expect(joiningArguments([])).toEqual([]);
});

it('joins every group, then becomes the command, with its arguments as they are', () => {
  const files = ['a', 'b c'].map((name) => join(folder, name));
  for (const file of files) writeFileSync(file, '');
  const { status, stdout } = run(files, ['/usr/bin/printf', '[%s]', '--', '$HOME', 'a  b', '']);
  expect({ status, stdout }).toEqual({ status: 0, stdout: '[--][$HOME][a  b][]' });
  expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(['0\n', '0\n']);
});

it('runs nothing when one of them cannot be joined', () => {
  const good = join(folder, 'good');
  writeFileSync(good, '');
  const ran = join(folder, 'ran');
  // /dev/full takes no byte, as a group that is full or foreign takes no process.
  for (const bad of [join(folder, 'missing', 'cgroup.procs'), '/dev/full']) {
    const { status, stderr } = run([good, bad], ['touch', ran]);
    expect(status).toBe(125);
    expect(stderr).toContain(`cannot join ${bad}`);
    expect(existsSync(ran)).toBe(false);
  }
});
