import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandOf, expand, pairsOf, parseDockerfile } from './container/dockerfile.ts';
import { registerImage } from './container/emulation.ts';
import { createEmulated, type Emulated, WITHOUT_GUESTS } from './container-call.ts';

const BUSYBOX = '/bin/busybox';

describe('a Dockerfile', () => {
  it('is read with comments, continuations and flags', () => {
    expect(parseDockerfile('# a\nFROM x\nRUN a && \\\n  # inside\n  b\nCOPY --from=y a b\n')).toEqual([
      { name: 'FROM', flags: {}, rest: 'x' },
      { name: 'RUN', flags: {}, rest: 'a &&    b' },
      { name: 'COPY', flags: { from: 'y' }, rest: 'a b' },
    ]);
  });

  it('has commands in two forms, pairs in two, and variables', () => {
    expect(commandOf('["a", "b c"]')).toEqual(['a', 'b c']);
    expect(commandOf('a b')).toEqual(['/bin/sh', '-c', 'a b']);
    expect(pairsOf('A=1 B="two words" C=\'x\'')).toEqual([
      ['A', '1'],
      ['B', 'two words'],
      ['C', 'x'],
    ]);
    expect(pairsOf('A one two')).toEqual([['A', 'one two']]);
    expect(expand(['$A $', '{B:-c} \\$A'].join(''), new Map([['A', '1']]))).toBe('1 c $A');
  });
});

describe.skipIf(WITHOUT_GUESTS)('images of the emulated container (needs root on Linux)', () => {
  let emulated: Emulated;
  const context = () => join(emulated.home, 'context');
  const run = (...words: string[]) => emulated.call('run', '--rm', '--network', 'none', ...words);

  beforeAll(() => {
    emulated = createEmulated();
    mkdirSync(join(context(), 'sub'), { recursive: true });
    writeFileSync(join(context(), 'sub', 'a'), 'from the context\n');
  });
  afterAll(() => emulated.end());

  it('are built from a Dockerfile on top of the host itself', async () => {
    const lines = [
      ...[
        'ARG BASE',
        'FROM $BASE',
        'ENV WHO="the build"',
        'WORKDIR /app',
        'COPY sub /app/sub',
        'COPY sub/* ./',
      ],
      ...[
        'RUN echo "$WHO" > made && echo kept > /root/kept',
        'USER 1234',
        'CMD ["cat", "made", "sub/a", "a"]',
      ],
    ];
    writeFileSync(join(context(), 'Dockerfile'), lines.join('\n'));
    const built = await emulated.call('build', '-q', '-t', 'mine', '--build-arg', 'BASE=host', context());
    expect(built).toMatchObject({ status: 0, stdout: 'mine:latest\n' });
    expect((await run('mine')).stdout).toBe('the build\nfrom the context\nfrom the context\n');
    expect((await run('mine', 'id', '-u')).stdout).toBe('1234\n');
    expect((await run('--user', '0', 'mine', 'cat', '/root/kept')).stdout).toBe('kept\n');
    expect(existsSync('/app')).toBe(false);
  });

  it('fail with the step that failed, and leave nothing', async () => {
    writeFileSync(join(context(), 'Dockerfile'), 'FROM host\nRUN exit 3\n');
    const built = await emulated.call('build', '-t', 'broken', context());
    expect([built.status, built.stderr.split('\n').at(-2)]).toEqual([
      1,
      'Error: process "exit 3" did not complete successfully: exit code: 3',
    ]);
    expect((await emulated.call('image', 'ls', '-q')).stdout).not.toContain('broken');
    expect((await emulated.call('build', join(emulated.home, 'nowhere'))).status).toBe(64);
  });

  it.skipIf(!existsSync(BUSYBOX))(
    'are saved, loaded and run from a root of their own (needs busybox)',
    async () => {
      const root = join(emulated.home, 'root');
      mkdirSync(join(root, 'bin'), { recursive: true });
      copyFileSync(BUSYBOX, join(root, 'bin', 'busybox'));
      for (const name of ['sh', 'ls', 'cat']) symlinkSync('busybox', join(root, 'bin', name));
      registerImage(emulated.home, 'small', { root });
      const archive = join(emulated.home, 'small.tar');
      expect((await emulated.call('image', 'pull', 'small')).status).toBe(0);
      expect((await emulated.call('image', 'save', '-o', archive, 'small')).status).toBe(0);
      expect((await emulated.call('image', 'rm', 'small')).status).toBe(0);
      expect((await emulated.call('image', 'load', '-i', archive)).stdout).toContain('small:latest');
      expect((await run('small', 'ls', '/')).stdout.split('\n')).toEqual([
        'bin',
        'dev',
        'etc',
        'proc',
        'sys',
        '',
      ]);
      registerImage(emulated.home, 'packed', { archive });
      expect((await run('--read-only', 'packed', 'sh', '-c', 'echo x > /x || echo read-only')).stdout).toBe(
        'read-only\n',
      );
      expect(execFileSync('tar', ['-tf', archive], { encoding: 'utf8' })).toContain('oci-layout');
    },
  );

  it('keep volumes apart from containers', async () => {
    await run('-v', 'kept:/data', 'host', 'sh', '-c', 'echo hi > /data/file');
    expect((await run('-v', 'kept:/data', 'host', 'cat', '/data/file')).stdout).toBe('hi\n');
    await emulated.call('create', '--name', 'user', '--network', 'none', '-v', 'kept:/data', 'host');
    expect((await emulated.call('volume', 'rm', 'kept')).status).toBe(1);
    await emulated.call('rm', 'user');
    expect((await emulated.call('volume', 'rm', 'kept')).stdout).toBe('kept\n');
  });
});
