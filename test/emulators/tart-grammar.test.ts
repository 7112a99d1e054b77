import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readGrammar } from './grammar/model.ts';
import { parseCommandLine } from './grammar/parse.ts';
import { registerTartVm } from './tart/emulation.ts';
import { defaultRoot, tartHomeOf } from './tart/home.ts';
import { readSettings } from './tart/settings.ts';
import { findUnnamed, parseShare, Trap, withoutDoubles } from './tart/shares.ts';
import { validate } from './tart/validation.ts';

const FILE = fileURLToPath(new URL('tart/grammar.json', import.meta.url));
const GRAMMAR = readGrammar(FILE, 'tart');
const VECTORS: { argv: string[]; accept: boolean; reason?: string }[] = JSON.parse(
  readFileSync(FILE, 'utf8'),
).argvVectors;

describe('the command lines of tart', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tart-grammar-'));
  const home = tartHomeOf(defaultRoot(directory));
  beforeAll(() => {
    registerTartVm(directory, 'vm', { os: 'darwin' });
    registerTartVm(directory, 'linux', { os: 'linux' });
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** The status that the command line ends with, 0 where it is done. */
  const statusOf = (words: readonly string[], grammar = GRAMMAR): number => {
    const parsed = parseCommandLine(grammar, words);
    if (parsed.kind === 'refused') return parsed.status;
    if (parsed.kind === 'unknown') return 64;
    if (parsed.kind !== 'command') return 0;
    return validate({ grammar, parsed, home, settings: readSettings(home) })?.status ?? 0;
  };

  it.each(
    VECTORS.map(({ argv, accept, reason }) => [accept ? 'accepts' : `refuses (${reason})`, argv, accept]),
  )('%s %j', (_, argv, accept) => {
    expect(statusOf(argv as string[])).toBe(accept ? 0 : 64);
  });

  it('takes a flag back, the letters of a choice as they come, and everything after a name', () => {
    expect(statusOf(['set', 'vm', '--no-display-refit'])).toBe(0);
    expect(statusOf(['create', '--linux', 'x', '--disk-format', 'RAW'])).toBe(0);
    expect(statusOf(['get', 'vm', '--format', 'JSON'])).toBe(64);
    const parsed = parseCommandLine(GRAMMAR, ['exec', '-it', 'vm', '--', 'ls', '-la', '--help']);
    expect(parsed).toMatchObject({ kind: 'command', arguments: ['vm', '--', 'ls', '-la', '--help'] });
    expect(parseCommandLine(GRAMMAR, ['exec', '--', 'vm', 'ls'])).toMatchObject({ arguments: ['vm', 'ls'] });
  });

  it('checks what belongs to macOS alone against the system of the VM', () => {
    for (const option of ['--suspendable', '--no-trackpad', '--provisioning-opts=fullName=x'])
      expect([option, statusOf(['run', 'linux', option])]).toEqual([option, 64]);
    expect(statusOf(['run', 'vm', '--suspendable'])).toBe(0);
    expect(statusOf(['run', 'vm', '--suspendable', '--no-pointer'])).toBe(64);
  });

  it('does not know in an older release what came later', () => {
    const older = readGrammar(FILE, 'tart', '2.32.1');
    expect(statusOf(['run', 'vm', '--net-softnet-control-fd', '3'], older)).toBe(64);
    expect(statusOf(['run', 'vm', '--net-softnet-allow=@host'], older)).toBe(0);
    expect(statusOf(['exec', 'vm', 'ls'], readGrammar(FILE, 'tart', '2.26.0'))).toBe(64);
  });
});

describe('directory shares', () => {
  const read = (value: string) => {
    const { name, path, isReadOnly, tag } = parseShare(value);
    return [name, path, isReadOnly, tag.replace('com.apple.virtio-fs.automount', 'default')];
  };

  it('are split at colons, and know two options', () => {
    expect(read('/tmp/a')).toEqual([null, '/tmp/a', false, 'default']);
    expect(read('a:/tmp/a:ro')).toEqual(['a', '/tmp/a', true, 'default']);
    expect(read('a:/tmp/a:ro,tag=t,nonsense')).toEqual(['a', '/tmp/a', true, 't']);
    expect(read('/tmp/a:ro')).toEqual([null, '/tmp/a', true, 'default']);
  });

  it('take an option that they do not know for a part of the path, and a path with a colon for a name', () => {
    expect(read('a:/tmp/a:rw')).toEqual(['a', '/tmp/a:rw', false, 'default']);
    expect(read('/tmp/a:b')).toEqual(['/tmp/a', expect.stringMatching(/\/b$/), false, 'default']);
  });

  it('trap where nothing is left of them', () => {
    for (const value of ['', ':', '::', 'ro', ':ro', 'tag=t'])
      expect(() => parseShare(value), value).toThrow(Trap);
  });

  it('must be named where there are two of a tag, and the last of a name wins', () => {
    const shares = ['/a', 'b:/b'].map(parseShare);
    expect(findUnnamed(shares)).toBe('com.apple.virtio-fs.automount');
    expect(findUnnamed(['/a', 'b:/b:tag=t'].map(parseShare))).toBe(null);
    expect(withoutDoubles(['a:/1', 'b:/2', 'a:/3'].map(parseShare)).map(({ path }) => path)).toEqual([
      '/2',
      '/3',
    ]);
  });
});
