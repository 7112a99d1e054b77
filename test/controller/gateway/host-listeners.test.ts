import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { announceListener, isHostListener } from '../../../controller/gateway/host-listeners.ts';
import { parseAddress } from '../../../policies/address.ts';

let state: string;
let runs: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'listeners-'));
  runs = join(state, 'runs');
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

function isListener(address: string, port: number): boolean {
  const parsed = parseAddress(address);
  if (!parsed.ok) throw new Error(address);
  return isHostListener(runs, parsed.value, port);
}

it('knows a listener by every address that leads to loopback, until it is taken back', () => {
  const takeBack = announceListener(runs, 4000);
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '0.0.0.0', '::ffff:127.0.0.1'])
    expect(isListener(address, 4000), address).toBe(true);
  expect(isListener('192.0.2.1', 4000)).toBe(false);
  expect(isListener('127.0.0.1', 4001)).toBe(false);
  takeBack();
  expect(isListener('127.0.0.1', 4000)).toBe(false);
  expect(readdirSync(join(state, 'listeners'))).toEqual([]);
});

it('does not hold the port of one that was killed', () => {
  mkdirSync(join(state, 'listeners'));
  writeFileSync(join(state, 'listeners', '4000'), '1 99999999999\n');
  expect(isListener('127.0.0.1', 4000)).toBe(false);
});

it.each(['', 'nobody\n', '1\n'])('fails closed on a file that does not say whose it is: %j', (text) => {
  mkdirSync(join(state, 'listeners'));
  writeFileSync(join(state, 'listeners', '4000'), text);
  expect(isListener('127.0.0.1', 4000)).toBe(true);
});

it('fails closed where it cannot be read', () => {
  mkdirSync(join(state, 'listeners', '4000'), { recursive: true });
  expect(() => isListener('127.0.0.1', 4000)).toThrow('EISDIR');
});
