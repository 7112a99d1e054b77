import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writePolicyLine } from '../../../controller/ask/policy-line.ts';
import { consentFor } from '../../../policies/consent.ts';
import { parseAuthority } from '../../../policies/hostname.ts';
import { policyOf } from '../run/policies.ts';

let root: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'line-'));
  path = join(root, 'p.yaml');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function ruleFor(text: string) {
  const parsed = parseAuthority(text, 443);
  const consent = parsed.ok
    ? consentFor(policyOf('version: 1\n'), { ...parsed.value, protocol: null }, [])
    : null;
  if (consent === null) throw new Error('nothing to ask');
  return consent.rule;
}

describe('a line that somebody said yes to', () => {
  it('goes into the very file, its comments and mode kept, and no second time', () => {
    writeFileSync(path, 'version: 1 # mine\nrules:\n  - allow: a.example # why\n');
    chmodSync(path, 0o640);
    const { ino } = statSync(path);
    for (let time = 1; time <= 2; time += 1) writePolicyLine(path, ruleFor('new.example:5432'), null);
    expect(readFileSync(path, 'utf8')).toBe(
      'version: 1 # mine\nrules:\n  - allow: a.example # why\n  - allow: new.example\n    tcp: [5432]\n',
    );
    expect(statSync(path)).toMatchObject({ ino, mode: expect.any(Number) });
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it('goes below the rules of the phase that the guest is in', () => {
    writeFileSync(path, 'version: 1\nphases:\n  setup:\n    rules:\n      - allow: a.example\n  run: {}\n');
    writePolicyLine(path, ruleFor('new.example'), 'setup');
    expect(readFileSync(path, 'utf8')).toContain(
      '      - allow: a.example\n      - allow: new.example\n        https: [443]\n  run',
    );
    expect(() => writePolicyLine(path, ruleFor('new.example'), 'gone')).toThrow(
      expect.objectContaining({ code: 'policy-invalid', hint: expect.stringContaining('new.example') }),
    );
  });

  it('leaves what is no policy, or cannot be written, as it is', () => {
    writeFileSync(path, 'version: 1\nrulez: []\n');
    expect(() => writePolicyLine(path, ruleFor('new.example'), null)).toThrow(
      expect.objectContaining({ code: 'policy-invalid' }),
    );
    expect(readFileSync(path, 'utf8')).toBe('version: 1\nrulez: []\n');
    for (const place of [root, join(root, 'none.yaml'), '/dev/null'])
      expect(() => writePolicyLine(place, ruleFor('new.example'), null)).toThrow(
        expect.objectContaining({ code: 'file-invalid' }),
      );
  });
});
