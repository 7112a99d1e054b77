import { describe, expect, it } from 'vitest';
import type { Row } from '../../../controller/verify/attack.ts';
import { formatJson, formatTable } from '../../../controller/verify/table.ts';

const ROWS: readonly Row[] = [
  {
    id: 'a',
    tried: 'raw TCP to 203.0.113.7:443 (TLS)',
    must: true,
    verdict: 'held',
    happened: 'refused, on record (raw-address)',
  },
  {
    id: 'b',
    tried: 'opening a raw socket',
    must: true,
    verdict: 'untold',
    happened: 'the guest said nothing of it',
  },
  {
    id: 'c',
    tried: 'a Unix socket of this host',
    must: true,
    verdict: 'open',
    happened: `it worked \u001b[2J${'x'.repeat(300)}`,
  },
  {
    id: 'd',
    tried: 'the session keyring of the caller',
    must: false,
    verdict: 'open',
    happened: 'it worked',
  },
];

const LINUX = { backend: 'linux', isolation: null, link: null } as const;

describe('the table', () => {
  it('shows what is open first, then what could not be told, then the rest, and counts', () => {
    const lines = formatTable(ROWS, LINUX).split('\n');
    const labels = lines
      .map((line) => line.slice(0, 6).trim())
      .filter((label) => /^(OPEN|\?{4}|may|held)$/.test(label));
    expect(labels).toEqual(['OPEN', '????', 'may', 'held']);
    expect(lines).toContain(
      'held  raw TCP to 203.0.113.7:443 (TLS)                    refused, on record (raw-address)',
    );
    expect(lines.slice(-3)).toEqual([
      '1 held, 1 open, 1 could not be told, 1 need not hold on a kernel of the guest\u2019s own',
      'A guest of linux is NOT confined on this machine. Report it in private, as SECURITY.md says.',
      '',
    ]);
  });

  it('fits 100 columns, and gives no control character of a guest to the terminal', () => {
    const text = formatTable(ROWS, LINUX);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(text).not.toContain('\u001b');
    expect(text).toContain('\\x1b[2J');
  });

  it('never calls a guest confined that something could not be told of', () => {
    expect(formatTable(ROWS.slice(0, 2), LINUX)).toContain(
      'Whether a guest of linux is confined on this machine is not shown',
    );
    expect(formatTable(ROWS.slice(0, 1), LINUX)).toContain('A guest of linux is confined on this machine');
  });

  it('names the isolation that was asked for', () => {
    const guest = { backend: 'linux', isolation: 'gvisor', link: null } as const;
    expect(formatTable(ROWS.slice(0, 1), guest)).toContain(
      'A guest of linux with --isolation gvisor is confined on this machine',
    );
    expect(formatTable(ROWS, { backend: 'tart', isolation: null, link: 'softnet' })).toContain(
      'A guest of tart with --link softnet is NOT confined on this machine',
    );
  });
});

describe('the JSON', () => {
  it('is an array of the rows', () => {
    expect(JSON.parse(formatJson(ROWS))).toEqual(ROWS);
  });
});
