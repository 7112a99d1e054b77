import { describe, expect, it } from 'vitest';
import {
  isLockedKeychain,
  isMachineLimit,
  parseAddress,
  parseComplaint,
  parseDigest,
  parseMachine,
  parseMachines,
} from '../../../../controller/backends/tart/parse.ts';

const FACTS = {
  OS: 'darwin',
  CPU: 4,
  Memory: 8192,
  Disk: 50,
  Size: '25.123',
  Running: true,
  State: 'running',
};

describe('what tart prints', () => {
  it('reads machines, and keys that it does not know', () => {
    const list = [
      { Source: 'local', Name: 'sand-1', Disk: 50, Size: 20, Accessed: 'x', Running: true, State: 'running' },
      { Source: 'local', Name: 'base', Running: false, State: 'stopped', Later: 1 },
    ];
    expect(parseMachines(JSON.stringify(list))).toEqual([
      { name: 'sand-1', running: true },
      { name: 'base', running: false },
    ]);
    expect(parseMachines('[]')).toEqual([]);
  });

  it('counts a machine as running where either of the two words says so', () => {
    expect(parseMachines('[{"Name":"a","Running":false,"State":"running"}]')).toEqual([
      { name: 'a', running: true },
    ]);
  });

  it.each(['', '{}', 'null', '[{"Name":1,"Running":true}]', '[{"Name":"a"}]', '[1]', '[{'])(
    'refuses %j as a list',
    (text) => expect(parseMachines(text)).toBeNull(),
  );

  it('reads one machine', () => {
    expect(parseMachine(JSON.stringify(FACTS))).toEqual({
      system: 'macos',
      running: true,
      suspended: false,
      cpus: 4,
      memoryMiB: 8192,
      diskGB: 50,
    });
    expect(parseMachine(JSON.stringify({ ...FACTS, OS: 'linux' }))?.system).toBe('linux');
  });

  it.each([{ OS: 'windows' }, { Running: 'yes' }, { CPU: '4' }, { Disk: null }])(
    'refuses a machine with %j',
    (wrong) => expect(parseMachine(JSON.stringify({ ...FACTS, ...wrong }))).toBeNull(),
  );

  it('takes a digest only from a reference that ends with one', () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    expect(parseDigest(`ghcr.io/x/y@${digest}\n`)).toBe(digest);
    expect(parseDigest('ghcr.io/x/y:latest\n')).toBeNull();
  });

  it('takes an address, and nothing else', () => {
    expect(parseAddress('198.18.0.2\n')).toBe('198.18.0.2');
    expect(parseAddress('no IP address found')).toBeNull();
  });

  it('gives one line of a complaint, without what a terminal would obey', () => {
    expect(parseComplaint('Error: no such\u001b[31m machine\nUsage: tart clone\n')).toBe(
      'no such [31m machine',
    );
    expect(parseComplaint('first\nlast\n')).toBe('last');
    expect(parseComplaint('')).toBe('');
  });

  it('knows the framework\u2019s own refusals', () => {
    expect(isMachineLimit('The number of VMs exceeds the system limit (other running VMs: a, b)')).toBe(true);
    expect(isLockedKeychain('Interaction is not allowed with the Security Server.')).toBe(true);
    expect(isLockedKeychain('failed: -25308')).toBe(true);
    expect(isLockedKeychain('something else')).toBe(false);
  });
});
