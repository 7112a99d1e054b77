import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { formatPatch } from '../../../policies/edit/patch.ts';

describe('a patch', () => {
  it('shows what comes and goes with three lines around it', () => {
    const before = '1\n2\n3\n4\n5\n6\n7\n8\n9\n';
    expect(formatPatch('f', before, before.replace('5\n', '5\nnew\n'))).toBe(
      '--- a/f\n+++ b/f\n@@ -3,6 +3,7 @@\n 3\n 4\n 5\n+new\n 6\n 7\n 8\n',
    );
    expect(formatPatch('f', before, before)).toBe('');
  });

  it('makes a new file, and tells a last line without an end', () => {
    expect(formatPatch('f', null, 'a\nb')).toBe(
      '--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n',
    );
  });

  it('is read by git apply, whatever changed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'patch-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const lines = fc.array(fc.constantFrom('a', 'b', 'c', '', '  - x\r'), { minLength: 1, maxLength: 30 });
    const texts = fc.tuple(lines, fc.boolean()).map(([some, ends]) => some.join('\n') + (ends ? '\n' : 'z'));
    fc.assert(
      fc.property(texts, texts, (before, after) => {
        fc.pre(before !== after);
        writeFileSync(join(folder, 'f'), before);
        const input = formatPatch('f', before, after);
        execFileSync('git', ['apply', '--whitespace=nowarn', '-'], { cwd: folder, input, stdio: 'pipe' });
        expect(readFileSync(join(folder, 'f'), 'utf8')).toBe(after);
      }),
      { numRuns: 30 },
    );
  });
});
