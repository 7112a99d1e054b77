/** Archives that sand makes of the host's folders: what tars read of them, and what a guest that writes there cannot get into them. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPlace } from '../../../controller/copy/host-place.ts';
import { openTop } from '../../../controller/copy/open-folder.ts';
import { tarEnd, tarHeader } from '../../../controller/copy/tar-header.ts';
import { TarReader } from '../../../controller/copy/tar-reader.ts';
import { packTree } from '../../../controller/copy/tree-packer.ts';

let root: string;
let from: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'packer-')));
  from = join(root, 'from');
  mkdirSync(join(from, 'd'), { recursive: true });
  mkdirSync(join(root, 'to'));
  writeFileSync(join(root, 'secret'), 'secret');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function* begin(platform: NodeJS.Platform, name: string): Generator<Buffer> {
  const { parent } = openPlace(from, root, [], () => openTop(platform));
  try {
    yield* packTree(parent, name, 'from');
  } finally {
    parent.close();
  }
}

function pack(platform: NodeJS.Platform, name: string): Buffer {
  return Buffer.concat([...begin(platform, name), tarEnd()]);
}

const unpack = (bytes: Buffer) =>
  execFileSync('tar', ['-x', '-f', '-', '-C', join(root, 'to')], { input: bytes });
const names = (bytes: Buffer) =>
  [...new TarReader().read(bytes)].flatMap((event) => (event.kind === 'entry' ? [event.entry.name] : []));

describe.each(['linux', 'darwin'] as const)('folders held as on %s', (platform) => {
  it('are read by tar as they are, long names and all', () => {
    const long = join(from, 'd', 'x'.repeat(90), 'y'.repeat(60));
    mkdirSync(long, { recursive: true });
    writeFileSync(join(long, 'ü'), 'deep', { mode: 0o640 });
    writeFileSync(join(from, 'd/run'), '#!/bin/sh\n', { mode: 0o755 });
    writeFileSync(join(from, 'd/large'), Buffer.alloc(200_001, 7));
    symlinkSync('y'.repeat(150), join(from, 'd/l'));
    utimesSync(join(from, 'd/run'), 1_700_000_000, 1_700_000_000);
    unpack(pack(platform, 'd'));
    const at = (path: string) => join(root, 'to/d', path);
    expect(readFileSync(at(`${'x'.repeat(90)}/${'y'.repeat(60)}/ü`), 'utf8')).toBe('deep');
    expect(readFileSync(at('large')).equals(Buffer.alloc(200_001, 7))).toBe(true);
    expect(readlinkSync(at('l'))).toBe('y'.repeat(150));
    expect(statSync(at('run')).mode & 0o777).toBe(0o755);
    expect(statSync(at('run')).mtimeMs).toBe(1_700_000_000_000);
  });

  it('are one file, or what they hold, as asked', () => {
    writeFileSync(join(from, 'd/a'), 'one');
    expect(names(pack(platform, 'd'))).toEqual(['./d/', './d/a']);
    expect(names(pack(platform, '.'))).toEqual(['./', './d/', './d/a']);
    rmSync(join(from, 'd'), { recursive: true });
    writeFileSync(join(from, 'd'), 'file');
    expect(names(pack(platform, 'd'))).toEqual(['./d']);
  });

  it('never read what a link leads to that takes a folder\u2019s place meanwhile', () => {
    mkdirSync(join(root, 'outside'));
    writeFileSync(join(root, 'outside/a'), 'secret');
    writeFileSync(join(from, 'd/a'), 'own');
    const chunks = begin(platform, '.');
    const taken = [chunks.next().value, chunks.next().value];
    renameSync(join(from, 'd'), join(root, 'd-before'));
    symlinkSync(join(root, 'outside'), join(from, 'd'));
    let bytes = Buffer.concat(taken.filter((chunk) => Buffer.isBuffer(chunk)));
    try {
      bytes = Buffer.concat([bytes, ...chunks]);
    } catch (error) {
      expect(error).toMatchObject({ code: 'copy-failed' });
    }
    expect(bytes.includes('secret')).toBe(false);
  });

  it('name a file that cannot be read whole', () => {
    writeFileSync(join(from, 'd/a'), Buffer.alloc(200_000));
    const chunks = begin(platform, 'd');
    for (let count = 0; count < 3; count++) chunks.next();
    truncateSync(join(from, 'd/a'), 10);
    expect(() => [...chunks]).toThrow(/\.\/d\/a became shorter/);
  });

  it('pass over what is no file, folder or link, without waiting for it', () => {
    execFileSync('mkfifo', [join(from, 'd/pipe')]);
    expect(names(pack(platform, 'd'))).toEqual(['./d/']);
    expect(readdirSync(join(from, 'd'))).toEqual(['pipe']);
  });
});

it('a size beyond eight gigabytes is told in binary', () => {
  const size = 9 * 1024 ** 3;
  const name = Buffer.from('./big');
  const bytes = tarHeader({
    kind: 'file',
    name,
    target: Buffer.alloc(0),
    size,
    mode: 0o644,
    mtimeSeconds: 0,
  });
  const [first] = new TarReader({ contentBytes: 2 * size }).read(bytes);
  expect(first).toMatchObject({ kind: 'entry', entry: { size, name: './big', mode: 0o644 } });
});
