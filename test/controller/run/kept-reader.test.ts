import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeptReader, type KeptReader } from '../../../controller/run/kept-reader.ts';
import { choosePolicy } from '../../../controller/run/policy-choice.ts';
import { createPolicyReader } from '../../../controller/run/policy-reader.ts';

let root: string;
const at = (name: string) => join(root, name);
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'kept-')));
  mkdirSync(at('ws'));
  writeFileSync(at('ws/in.yaml'), 'one');
  writeFileSync(at('out.yaml'), 'one');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const create = () => createKeptReader(createPolicyReader(root), [at('ws')]);
function textOf(reader: KeptReader[keyof KeptReader], name: string): string {
  const reading = reader.readFile(at(name));
  return reading.kind === 'file' ? Buffer.from(reading.bytes).toString() : reading.kind;
}

describe('createKeptReader', () => {
  it('reads again what the host alone writes, and keeps what the guest can write', () => {
    const { first, again } = create();
    for (const name of ['ws/in.yaml', 'out.yaml']) {
      expect(textOf(first, name)).toBe('one');
      writeFileSync(at(name), 'two');
    }
    expect(textOf(again, 'ws/in.yaml')).toBe('one');
    expect(textOf(again, 'out.yaml')).toBe('two');
  });

  it('keeps that a file of the guest\u2019s reach was not there', () => {
    const { first, again } = create();
    expect(textOf(first, 'ws/in.lock')).toBe('missing');
    writeFileSync(at('ws/in.lock'), 'made by the guest');
    expect(textOf(again, 'ws/in.lock')).toBe('missing');
  });

  it('takes no file of the guest\u2019s reach that was no part before', () => {
    expect(textOf(create().again, 'ws/in.yaml')).toBe('unreadable');
  });

  it('keeps what was read last of a file that a link takes into the guest\u2019s reach', () => {
    const { first, again } = create();
    textOf(first, 'out.yaml');
    writeFileSync(at('out.yaml'), 'two');
    expect(textOf(again, 'out.yaml')).toBe('two');
    unlinkSync(at('out.yaml'));
    symlinkSync(at('ws/in.yaml'), at('out.yaml'));
    expect(textOf(again, 'out.yaml')).toBe('two');
  });
});

describe('a policy of several files that is read again', () => {
  const file = (name: string, host: string, more = '') =>
    writeFileSync(at(name), `version: 1\n${more}rules:\n  - allow: ${host}\n`);
  const choose = (policies: readonly string[]) =>
    choosePolicy({
      policies,
      allows: [],
      cwd: root,
      home: root,
      environ: {},
      told: () => {},
      writable: [at('ws')],
    });
  const hostsOf = (read: unknown) =>
    JSON.stringify(read)
      .match(/(one|two|evil)\.example/g)
      ?.toSorted() ?? [];

  it('has nothing of what the guest wrote since', async () => {
    file('ws/in.yaml', 'one.example');
    file('out.yaml', 'one.example');
    const { reread } = await choose(['./ws/in.yaml', './out.yaml']);
    file('ws/in.yaml', 'evil.example');
    file('out.yaml', 'two.example');
    const read = reread?.();
    expect(read).toMatchObject({ ok: true });
    expect(new Set(hostsOf(read))).toEqual(new Set(['one.example', 'two.example']));
  });

  it('is refused where it extends a file of the guest\u2019s reach that it did not', async () => {
    file('out.yaml', 'one.example');
    const { reread } = await choose(['./out.yaml']);
    file('ws/in.yaml', 'evil.example');
    file('out.yaml', 'two.example', 'extends: [./ws/in.yaml]\n');
    expect(reread?.()).toMatchObject({ ok: false, problem: expect.stringContaining('guest can write') });
  });
});
