/** Archives of a hostile guest, against a real folder of the host: nothing of them lands outside it. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPlace } from '../../../controller/copy/host-place.ts';
import { COPY_LIMITS } from '../../../controller/copy/limits.ts';
import { openTop } from '../../../controller/copy/open-folder.ts';
import { CopyReceiver, type Received } from '../../../controller/copy/receiver.ts';
import { archive, member } from './archive.ts';

let root: string;
let to: string;
let top = openTop;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'copy-')));
  to = join(root, 'to');
  mkdirSync(to);
  writeFileSync(join(root, 'secret'), 'secret');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

interface How {
  readonly name?: string | null;
  readonly contentBytes?: number;
  readonly chunk?: number;
  readonly path?: string;
}

function receive(bytes: Buffer, how: How = {}): Received {
  const path = how.path ?? to;
  const receiver = new CopyReceiver({
    place: openPlace(path, root, [], top),
    name: how.name === undefined ? 'd' : how.name,
    mustBeFolder: false,
    contentBytes: how.contentBytes ?? COPY_LIMITS.contentBytes,
    to: path,
  });
  try {
    const step = how.chunk ?? bytes.length;
    for (let at = 0; at < bytes.length; at += step) receiver.take(bytes.subarray(at, at + step));
    return receiver.finish();
  } finally {
    receiver.close();
  }
}

/** As an archive has it. */
const bytes = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
const folder = { name: 'd/', type: '5', mode: 0o755 };
const everything = () => readdirSync(root, { recursive: true }).map(String).sort();

describe.each(['linux', 'darwin'] as const)('folders held as on %s:', (platform) => {
  beforeEach(() => {
    top = () => openTop(platform);
  });

  describe('an honest archive', () => {
    it('becomes files, folders and links, in whatever pieces it comes', () => {
      const long = `d/${'n'.repeat(120)}`;
      const bytes = archive(
        folder,
        { name: 'd/a', content: 'hello', mode: 0o755 },
        { name: 'd/l', type: '2', target: 'a' },
        { name: 'short', content: 'long', pax: { path: long, mtime: '1.5' } },
        { name: 'd/sub/deep/b', content: 'x'.repeat(1_000) },
      );
      for (const chunk of [1, 511, 512, 513, bytes.length]) {
        expect(receive(bytes, { chunk })).toMatchObject({ files: 3, folders: 1, links: 1, leftOutCount: 0 });
        expect(readFileSync(join(to, 'd/a'), 'utf8')).toBe('hello');
        expect(statSync(join(to, 'd/a')).mode & 0o777).toBe(0o755);
        expect(readlinkSync(join(to, 'd/l'))).toBe('a');
        expect(readFileSync(join(to, long), 'utf8')).toBe('long');
        expect(readFileSync(join(to, 'd/sub/deep/b'), 'utf8')).toHaveLength(1_000);
        rmSync(join(to, 'd'), { recursive: true });
      }
    });

    it.each(['gnu', 'pax', 'ustar'])('of GNU tar in its format %s is read', (format) => {
      const from = join(root, 'd');
      mkdirSync(join(from, 'x'.repeat(90), 'y'.repeat(60)), { recursive: true });
      writeFileSync(join(from, 'x'.repeat(90), 'y'.repeat(60), 'ü'), 'deep');
      symlinkSync('x'.repeat(90), join(from, 'l'));
      const bytes = execFileSync('tar', ['-c', `--format=${format}`, '-C', root, '-f', '-', './d']);
      expect(receive(bytes)).toMatchObject({ files: 1, links: 1, leftOutCount: 0 });
      expect(readFileSync(join(to, 'd', 'x'.repeat(90), 'y'.repeat(60), 'ü'), 'utf8')).toBe('deep');
    });

    it('takes the name that it is given where nothing is there', () => {
      receive(archive({ name: 'd', content: 'one' }), { path: join(to, 'other') });
      expect(readFileSync(join(to, 'other'), 'utf8')).toBe('one');
      receive(archive({ name: './', type: '5' }, { name: './a', content: 'x' }), {
        path: join(to, 'new'),
        name: null,
      });
      expect(readdirSync(join(to, 'new'))).toEqual(['a']);
    });

    it('replaces a file as a whole, and a link rather than what it leads to', () => {
      mkdirSync(join(to, 'd'));
      symlinkSync(join(root, 'secret'), join(to, 'd/a'));
      receive(archive(folder, { name: 'd/a', content: 'new' }));
      expect(lstatSync(join(to, 'd/a')).isFile()).toBe(true);
      expect(readFileSync(join(root, 'secret'), 'utf8')).toBe('secret');
    });
  });

  describe('a hostile archive is refused', () => {
    it.each([
      ['an absolute name', [{ name: '/etc/x', content: 'x' }]],
      ['an absolute name of pax', [{ name: 'd/x', content: 'x', pax: { path: '/d/x' } }]],
      ['a name upward', [folder, { name: 'd/../../secret', content: 'x' }]],
      [
        'a name upward of GNU',
        [
          { name: 'L', type: 'L', content: 'd/../../secret\0' },
          { name: 'd/x', content: 'x' },
        ],
      ],
      ['a prefix upward', [{ name: '..', content: 'x' }]],
      ['what was not asked for', [{ name: 'e', content: 'x' }]],
      ['a NUL in a name of pax', [{ name: 'd/x', pax: { path: 'd/x\0y' } }]],
      ['a name that is too long', [{ name: 'd/x', pax: { path: `d/${'n'.repeat(5_000)}` } }]],
      ['a size that is no number', [{ name: 'd/x', size: '9999999999x' }]],
      ['a negative size', [{ name: 'd/x', size: '-1\0' }]],
      [
        'a size beyond all',
        [{ name: 'd/x', size: Buffer.from([0x80, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]) }],
      ],
      ['a file with holes of pax', [{ name: 'd/x', pax: { 'GNU.sparse.major': '1' } }]],
      ['an extended header without end', [{ name: 'x', type: 'x', content: '99 path=d' }]],
      ['an extended header that is too long', [{ name: 'x', type: 'x', content: 'x'.repeat(70_000) }]],
    ])('%s', (_, members) => {
      expect(() => receive(archive(...members))).toThrow(/not taken/);
      expect(readFileSync(join(root, 'secret'), 'utf8')).toBe('secret');
      expect(everything().filter((path) => path !== 'to' && path !== 'to/d' && path !== 'secret')).toEqual(
        [],
      );
    });

    it('a header whose sum is another, and one that is cut', () => {
      const whole = archive(folder, { name: 'd/a', content: 'hello' });
      const turned = Buffer.from(whole);
      turned.write('e', 512, 'latin1');
      expect(() => receive(turned)).toThrow(/checksum/);
      expect(() => receive(whole.subarray(0, 512 * 2 + 3))).toThrow(/too early/);
      expect(readdirSync(join(to, 'd'))).toEqual([]);
    });

    it('more content than is allowed, before it is written', () => {
      const huge = member({ name: 'd/x', size: Buffer.from([0x80, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0]) });
      expect(() => receive(Buffer.concat([member(folder), huge]))).toThrow(/--?content|bytes of content/);
      const many = archive(
        ...['a', 'b', 'c'].map((name) => ({ name: `d/${name}`, content: 'x'.repeat(400) })),
      );
      expect(() => receive(many, { contentBytes: 1_000 })).toThrow(/more than 1000 bytes/);
      expect(readdirSync(join(to, 'd')).sort()).toEqual(['a', 'b']);
    });
  });

  describe('a hostile archive writes through no link', () => {
    it('of its own', () => {
      const bytes = archive(
        folder,
        { name: 'd/l', type: '2', target: 'sub' },
        { name: 'd/l/x', content: 'x' },
      );
      expect(() => receive(bytes)).toThrow(/cannot be written/);
      expect(existsSync(join(to, 'd/sub'))).toBe(false);
    });

    it('that stands there already', () => {
      mkdirSync(join(root, 'outside'));
      symlinkSync(join(root, 'outside'), join(to, 'd'));
      expect(() => receive(archive(folder, { name: 'd/x', content: 'x' }))).toThrow(/cannot be written/);
      expect(readdirSync(join(root, 'outside'))).toEqual([]);
    });

    it('that takes the place of a folder meanwhile', () => {
      mkdirSync(join(root, 'outside'));
      const receiver = new CopyReceiver({
        place: openPlace(to, root, [], top),
        name: 'd',
        mustBeFolder: false,
        contentBytes: 1_000,
        to,
      });
      receiver.take(member(folder));
      rmSync(join(to, 'd'), { recursive: true });
      symlinkSync(join(root, 'outside'), join(to, 'd'));
      expect(() => receiver.take(member({ name: 'd/x', content: 'x' }))).toThrow(/cannot be written/);
      receiver.close();
      expect(readdirSync(join(root, 'outside'))).toEqual([]);
    });

    it('on the way to the place, where a guest may have made it', () => {
      mkdirSync(join(root, 'outside'));
      symlinkSync(join(root, 'outside'), join(to, 'l'));
      expect(() => openPlace('to/l', root, [to], top)).toThrow(/is a link, and a guest can write there/);
      expect(() => openPlace('to/l/x', root, [root], top)).toThrow(/is a link/);
      const followed = openPlace('to/l', root, [], top);
      expect(followed.parent.where()).toBe(join(root, 'outside'));
      followed.parent.close();
    });
  });

  describe('what is left out, and told', () => {
    it.each([
      ['a link out', { name: 'd/l', type: '2', target: '../secret' }],
      ['an absolute link', { name: 'd/l', type: '2', target: '/etc/passwd' }],
      ['a link up behind another', { name: 'd/l', type: '2', target: 'sub/../../x' }],
      ['a link of pax', { name: 'd/l', type: '2', target: 'a', pax: { linkpath: '../../x' } }],
      ['a hard link', { name: 'd/l', type: '1', target: 'secret' }],
      ['a hard link to a file of the host', { name: 'd/l', type: '1', target: '/etc/passwd' }],
      ['a FIFO', { name: 'd/l', type: '6' }],
      ['a character device', { name: 'd/l', type: '3' }],
      ['a block device', { name: 'd/l', type: '4' }],
      ['a file with holes of GNU', { name: 'd/l', type: 'S', content: 'x' }],
      ['a type of its own', { name: 'd/l', type: '?', content: 'x' }],
      ['a hook', { name: 'd/.git/hooks/pre-commit', content: 'x' }],
      ['settings of git, in capitals', { name: 'd/sub/.GIT/config', content: 'x' }],
      ['a hook with a mark that no eye sees', { name: bytes('d/.g\u200cit/hooks/pre-commit'), content: 'x' }],
      ['settings with a long s', { name: bytes('d/.v\u017fcode/settings.json'), content: 'x' }],
      ['another repository', { name: 'd/.git', content: 'gitdir: sub' }],
      ['a policy', { name: 'd/sand.policy.yaml', content: 'x' }],
    ])('%s', (_, entry) => {
      const received = receive(archive(folder, entry, { name: 'd/after', content: 'y' }));
      expect(received).toMatchObject({ files: 1, leftOutCount: 1 });
      expect(readdirSync(join(to, 'd'))).toEqual(['after']);
    });

    it('has no rights that a file could give', () => {
      receive(
        archive(
          folder,
          { name: 'd/s', content: 'x', mode: 0o6755 },
          { name: 'd/t/', type: '5', mode: 0o7777 },
        ),
      );
      expect(statSync(join(to, 'd/s')).mode & 0o7000).toBe(0);
      expect(statSync(join(to, 'd/t')).mode & 0o7000).toBe(0);
    });

    it('is told in letters that move no cursor', () => {
      const { leftOut } = receive(archive(folder, { name: 'd/\u001b[31m\nx', type: '6' }));
      expect(leftOut).toEqual(['d/\\x1b[31m\\x0ax: it is no file, folder or link']);
      expect(() => receive(archive({ name: '/\u001b]0;x\u0007' }))).toThrow(/^(?!.*\u001b)/s);
    });
  });

  describe('any bytes', () => {
    it('are survived, and write nothing outside', () => {
      const whole = archive(
        folder,
        { name: 'd/a', content: 'hello' },
        { name: 'd/l', type: '2', target: 'a' },
      );
      const turned = fc.tuple(fc.nat(whole.length - 1), fc.nat(255), fc.boolean());
      fc.assert(
        fc.property(fc.array(turned, { maxLength: 4 }), (turns) => {
          const bytes = Buffer.from(whole);
          for (const [at, value, mend] of turns) {
            bytes[at] = value;
            if (mend) mendSum(bytes, at);
          }
          try {
            receive(bytes);
          } catch (error) {
            expect(error).toMatchObject({ name: 'SandError' });
          }
          expect(readdirSync(root).sort()).toEqual(['secret', 'to']);
          rmSync(to, { recursive: true });
          mkdirSync(to);
        }),
        { numRuns: 300 },
      );
    });
  });
});

/** A changed header with a sum that fits again. */
function mendSum(bytes: Buffer, at: number): void {
  const block = bytes.subarray(at - (at % 512), at - (at % 512) + 512);
  if (block.every((byte) => byte === 0)) return;
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
