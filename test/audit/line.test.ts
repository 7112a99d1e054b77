import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { LINE_LIMITS, READ_LIMITS } from '../../audit/limits.ts';
import { decodeLine, encodeLine, FIRST_PREV } from '../../audit/line.ts';
import { ALLOWED, connection, dns, FULL_ENTRIES, runEnd, runStart, START_MS } from './samples.ts';

const frame = { seq: 1, timeMs: START_MS, guest: 'g1', prev: FIRST_PREV };

function encoded(entry: AuditEntry): Record<string, unknown> {
  return JSON.parse(encodeLine(entry, frame));
}

test('every kind is read back as it was written', () => {
  for (const entry of FULL_ENTRIES) {
    const decoded = decodeLine(Buffer.from(encodeLine(entry, frame)));
    const expected = { ...entry, seq: 1, time: '2026-11-21T20:15:00.000Z', guest: 'g1', prev: FIRST_PREV };
    expect(decoded).toEqual({ ok: true, event: expected });
  }
});

test('a name from a guest can neither end the line nor hide in it', () => {
  const name = 'a\n{"seq":2}\u2028\u0085\u202eb\u0000\ud800';
  const line = encodeLine(dns({ name }), frame);
  expect(line).toMatch(/^[\x20-\x7e]*$/);
  expect(decodeLine(Buffer.from(line))).toMatchObject({ ok: true, event: { name } });
});

test('prev stands last and a guest cannot put text behind it', () => {
  const line = encodeLine(dns({ detail: `","prev":"${'1'.repeat(64)}"}` }), frame);
  expect(line.endsWith(`,"prev":"${FIRST_PREV}"}`)).toBe(true);
});

test('names, details and arguments are cut to their limits', () => {
  const long = 'x'.repeat(5000);
  expect(encoded(dns({ name: long, detail: long }))).toMatchObject({
    name: `${'x'.repeat(LINE_LIMITS.text - 1)}…`,
    detail: `${'x'.repeat(LINE_LIMITS.text - 1)}…`,
  });
  expect(encoded(connection({ path: `/${long}` })).path).toHaveLength(LINE_LIMITS.path);
  const start = encoded(
    runStart({ command: ['ls', ...Array.from({ length: 500 }, () => 'word '.repeat(200))] }),
  );
  const command = start.command as string[];
  expect(command).toHaveLength(LINE_LIMITS.arguments);
  expect(command.at(-1)).toBe('… and 374 more');
  expect(Math.max(...command.map((argument) => argument.length))).toBe(LINE_LIMITS.text);
});

test('the fattest line that can be made is one that can be read', () => {
  const fat = '\u202e'.repeat(10_000);
  const many = Array.from({ length: 1000 }, () => fat);
  const rule = { id: fat, file: fat, line: 1, because: fat };
  const entries: AuditEntry[] = [
    runStart({
      run: fat,
      command: many,
      workdir: fat,
      policy: { name: fat, digest: fat, mode: fat, layers: many },
    }),
    dns({ name: fat, rule, detail: fat, suggestion: fat, answer: many, type: fat, rcode: fat }),
    connection({
      host: fat,
      path: fat,
      method: fat,
      sni: fat,
      alpn: many,
      rule,
      detail: fat,
      suggestion: fat,
    }),
  ];
  for (const entry of entries) {
    const line = Buffer.from(encodeLine(entry, { ...frame, guest: fat }));
    expect(line.length).toBeLessThan(READ_LIMITS.lineBytes);
    expect(decodeLine(line).ok).toBe(true);
  }
});

test('a query or fragment that reaches the path field stays out of the log', () => {
  expect(encoded(connection({ ...ALLOWED, path: '/a?token=hunter2\nx' })).path).toBe('/a');
  expect(encoded(connection({ ...ALLOWED, path: '/a#token=hunter2' })).path).toBe('/a');
});

test('a command that nobody redacted is redacted here', () => {
  const line = encodeLine(
    runStart({ command: ['curl', '--oauth2-bearer', 'hunter2', 'https://u:hunter2@x.example/'] }),
    frame,
  );
  expect(line).not.toContain('hunter2');
});

test('any bytes are survived, and only whole events are events', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(decodeLine(bytes).ok).toBe(false);
    }),
  );
  fc.assert(
    fc.property(fc.json({ maxDepth: 3 }), (text) => {
      expect(decodeLine(Buffer.from(text)).ok).toBe(false);
    }),
  );
});

test('a line with bytes changed at random is survived, and reads as an event only in its own shape', () => {
  const lines = FULL_ENTRIES.map((entry) => Buffer.from(encodeLine(entry, frame)));
  fc.assert(
    fc.property(fc.constantFrom(...lines), fc.nat(), fc.nat({ max: 255 }), (line, at, byte) => {
      const changed = Buffer.from(line);
      changed[at % changed.length] = byte;
      const decoded = decodeLine(changed);
      if (decoded.ok) expect(typeof decoded.event.seq).toBe('number');
      else expect(decoded.detail).not.toBe('');
    }),
    { numRuns: 500 },
  );
});

test('each way to be no event has its name', () => {
  const problemOf = (text: string | Uint8Array) => {
    const decoded = decodeLine(Buffer.from(text));
    return decoded.ok ? 'ok' : decoded.problem;
  };
  expect(problemOf(Uint8Array.of(0x7b, 0xff, 0x7d))).toBe('not-utf8');
  expect(problemOf('')).toBe('not-json');
  expect(problemOf('{"seq":1')).toBe('not-json');
  expect(problemOf('null')).toBe('not-an-event');
  expect(problemOf('{"kind":"__proto__"}')).toBe('not-an-event');
  expect(problemOf(encodeLine(runEnd(), frame).replace('"exitCode":0', '"exitCode":"0"'))).toBe(
    'not-an-event',
  );
  expect(problemOf(encodeLine(runStart(), frame).replace('"schema":1', '"schema":2'))).toBe('newer-schema');
  expect(problemOf(encodeLine(dns(), frame).replace('no-rule', 'no-rules'))).toBe('not-an-event');
});

test('a field of a later version is let be', () => {
  const line = encodeLine(dns(), frame).replace('"kind"', '"later":{"x":1},"kind"');
  expect(decodeLine(Buffer.from(line)).ok).toBe(true);
});
