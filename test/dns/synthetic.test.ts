import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSyntheticTable, SYNTHETIC_CAPACITY } from '../../dns/synthetic.ts';
import { address, name } from './world.ts';

describe('the synthetic table', () => {
  test('gives each name one address and keeps it', () => {
    const table = createSyntheticTable();
    expect(table.allocate(name('a.example'))).toBe('198.18.1.1');
    expect(table.allocate(name('b.example'))).toBe('198.18.1.2');
    expect(table.allocate(name('a.example'))).toBe('198.18.1.1');
  });

  test('knows which name an address means', () => {
    const table = createSyntheticTable();
    table.allocate(name('a.example'));
    expect(table.meaning(address('198.18.1.1'))).toEqual({ kind: 'name', name: 'a.example' });
    expect(table.meaning(address('198.18.1.2'))).toEqual({ kind: 'unknown-synthetic' });
    expect(table.meaning(address('192.0.2.1'))).toEqual({ kind: 'literal' });
    expect(table.meaning(address('2001:db8::1'))).toEqual({ kind: 'literal' });
  });

  test('gives addresses of the guest\u2019s own loopback where it is told so before the first', () => {
    const table = createSyntheticTable();
    table.moveTo(127);
    expect(table.allocate(name('a.example'))).toBe('127.18.1.1');
    expect(table.meaning(address('127.18.1.1'))).toEqual({ kind: 'name', name: 'a.example' });
    expect(table.meaning(address('127.19.255.254'))).toEqual({ kind: 'unknown-synthetic' });
    for (const text of ['127.0.0.1', '127.20.0.1', '198.18.1.1']) {
      expect(table.meaning(address(text))).toEqual({ kind: 'literal' });
    }
    expect(() => table.moveTo(198)).toThrow('given already');
  });

  test('everything in 198.18.0.0/15 that was not given is unknown, the first block included', () => {
    const table = createSyntheticTable();
    table.allocate(name('a.example'));
    for (const text of ['198.18.0.0', '198.18.0.1', '198.18.1.0', '198.18.1.255', '198.19.255.255']) {
      expect(table.meaning(address(text))).toEqual({ kind: 'unknown-synthetic' });
    }
    for (const text of ['198.17.255.255', '198.20.0.0', '199.18.1.1']) {
      expect(table.meaning(address(text))).toEqual({ kind: 'literal' });
    }
  });

  test('is exhausted, not reused: the last address is 198.19.255.254', () => {
    const table = createSyntheticTable();
    const given = new Set<string>();
    for (let index = 0; index < SYNTHETIC_CAPACITY; index += 1) {
      const allocated = table.allocate(`n${index}.example` as ReturnType<typeof name>);
      if (allocated === null) throw new Error(`exhausted at ${index}`);
      given.add(allocated);
    }
    expect(given.size).toBe(SYNTHETIC_CAPACITY);
    expect(
      [...given].some((it) => it.endsWith('.0') || it.endsWith('.255') || it.startsWith('198.18.0.')),
    ).toBe(false);
    expect(given.has('198.19.255.254')).toBe(true);
    expect(table.allocate(name('late.example'))).toBeNull();
    expect(table.allocate(name('n0.example'))).toBe('198.18.1.1');
  });

  test('what was allocated is what is meant', () => {
    const table = createSyntheticTable();
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{1,8}\.example$/), (text) => {
        const allocated = table.allocate(name(text));
        if (allocated === null) throw new Error('exhausted');
        expect(table.meaning(allocated)).toEqual({ kind: 'name', name: text });
      }),
    );
  });
});
