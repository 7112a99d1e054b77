import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planOutput, writeOutput } from '../../../controller/ci/output-file.ts';

let root: string;
let ws: string;
let outside: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'sand-output-')));
  [ws, outside] = ['ws', 'outside'].map((name) => join(root, name)) as [string, string];
  for (const folder of [ws, outside, join(ws, 'out')]) mkdirSync(folder);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('a file that is written when the guest has ended', () => {
  it('replaces what stands there, as a whole', () => {
    writeFileSync(join(ws, 'r.json'), 'a much longer text than the new one');
    writeOutput(planOutput('--report', 'r.json', ws), 'new\n');
    expect(readFileSync(join(ws, 'r.json'), 'utf8')).toBe('new\n');
    expect(readdirSync(ws).sort()).toEqual(['out', 'r.json']);
  });

  it('may lie outside the working directory, also by a symlink that is the caller’s', () => {
    symlinkSync(outside, join(root, 'link'));
    writeOutput(planOutput('--report', '../link/r.json', ws), 'x');
    expect(readFileSync(join(outside, 'r.json'), 'utf8')).toBe('x');
  });

  it('goes through no link that the guest has put in its place meanwhile', () => {
    const place = planOutput('--report', 'out/r.json', ws);
    writeFileSync(join(outside, 'victim'), 'precious');
    symlinkSync(join(outside, 'victim'), join(ws, 'out/r.json'));
    writeOutput(place, 'report');
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('precious');
    expect(lstatSync(join(ws, 'out/r.json')).isFile()).toBe(true);
  });

  it('is not written into a folder that the guest has put in the place of its own', () => {
    const place = planOutput('--report', 'out/r.json', ws);
    renameSync(join(ws, 'out'), join(ws, 'elsewhere'));
    symlinkSync(outside, join(ws, 'out'));
    expect(() => writeOutput(place, 'report')).toThrow(/no longer the one that it was/);
    rmSync(join(ws, 'out'));
    mkdirSync(join(ws, 'out'));
    expect(() => writeOutput(place, 'report')).toThrow(/cannot be written/);
    expect(readdirSync(outside)).toEqual([]);
  });

  it('is refused where a link inside the working directory leads away, or it is no file', () => {
    symlinkSync(outside, join(ws, 'away'));
    symlinkSync(join(outside, 'x'), join(ws, 'r.json'));
    for (const name of ['away/r.json', 'r.json', 'out', 'none/r.json', '/dev/null'])
      expect(() => planOutput('--report', name, ws)).toThrow(new RegExp(`^--report ${name}`));
  });
});
