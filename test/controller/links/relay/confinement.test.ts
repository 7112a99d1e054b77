/** Attacks from inside a relay's guest: on what is held and protected, on its network, and on its first process. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  formatAttempts,
  parseProbe,
  type RelayAttempt,
} from '../../../../controller/links/relay/relay-program.ts';
import { echoLines } from './proxy-host.ts';
import { reasonToSkip, startGuest, type TestGuest } from './test-guest.ts';

const reason = reasonToSkip();
const { EPERM, EACCES, EBUSY, EROFS, ENETUNREACH, ECONNREFUSED, EINVAL, ENOSYS } = constants.errno;

function prepare(folder: string): void {
  mkdirSync(join(folder, 'code/repo/.git/hooks'), { recursive: true });
  writeFileSync(join(folder, 'code/repo/.git/config'), 'as it was\n');
  writeFileSync(join(folder, 'code/repo/file'), 'of the workload\n');
  symlinkSync('/etc', join(folder, 'code/link'));
}

const HOLDS = ['--hold', '/code/repo', '--hold', '/code/repo/.git'].concat(
  ['--protect', '/code/repo/.git/hooks'],
  ['--protect', '/code/repo/.git/config'],
);

async function failedStart(args: readonly string[], capabilities?: readonly string[]): Promise<string> {
  const guest = await startGuest({
    prepare,
    args: ['serve', ...args],
    withoutReady: true,
    ...(capabilities === undefined ? {} : { capabilities }),
  });
  const { code, stderr } = await guest.ended;
  await guest.close();
  return `${code} ${stderr.trim()}`;
}

describe.skipIf(reason !== null)(`confinement${reason === null ? '' : ` (${reason})`}`, () => {
  let guest: TestGuest;
  beforeAll(async () => {
    guest = await startGuest({ proxy: echoLines, prepare, args: ['serve', '--port', '443', ...HOLDS] });
  });
  afterAll(() => guest?.close());

  /** The answer to each attack, by the workload of that user: 0 where it worked, else the errno. */
  async function attacks(lines: readonly string[], user = ''): Promise<Readonly<Record<string, number>>> {
    const found: Record<string, number> = {};
    const attempts: RelayAttempt[] = lines.map((line) => {
      const [name = '', argument = null] = line.split(' ');
      return { kind: 'try', name, argument };
    });
    const probed = await guest.run(
      ['sh', '-c', `printf %s '${formatAttempts(attempts)}' | /.sand/bin/sand-relay probe`],
      { user },
    );
    for (const one of parseProbe(probed.stdout) ?? []) {
      if (one.kind === 'try')
        found[one.argument === null ? one.name : `${one.name} ${one.argument}`] = one.errno;
    }
    return found;
  }

  it('keeps a protected path from being written, and what holds it from being moved', async () => {
    const found = await attacks([
      ...['write /code/repo/.git/config', 'write /code/repo/.git/hooks/pre-commit'],
      ...[
        'rename /code/repo/.git/config',
        'rename /code/repo/.git/hooks',
        'rename /code/repo/.git',
        'rename /code/repo',
      ],
      ...['write /code/repo/file', 'rename /code/repo/file', 'write /.sand/bin/other'],
    ]);
    expect(found).toEqual({
      'write /code/repo/.git/config': EROFS,
      'write /code/repo/.git/hooks/pre-commit': EROFS,
      'rename /code/repo/.git/config': EBUSY,
      'rename /code/repo/.git/hooks': EBUSY,
      'rename /code/repo/.git': EBUSY,
      'rename /code/repo': EBUSY,
      'write /code/repo/file': 0,
      'rename /code/repo/file': 0,
      'write /.sand/bin/other': EROFS,
    });
    expect(readFileSync(join(guest.folder, 'code/repo/.git/config'), 'utf8')).toBe('as it was\n');
  });

  it('lets nobody unmount or remount it, root and user namespaces included', async () => {
    const path = '/code/repo/.git/config';
    const found = await attacks([
      ...[`unmount ${path}`, `mount-remount ${path}`, 'unmount /code/repo/.git', 'unmount /code/repo'],
      ...[`userns-unmount ${path}`, `userns-remount ${path}`],
    ]);
    expect(found).toEqual({
      [`unmount ${path}`]: EPERM,
      [`mount-remount ${path}`]: EPERM,
      'unmount /code/repo/.git': EPERM,
      'unmount /code/repo': EPERM,
      // A copy of the mounts is locked: its parts come off only with the whole.
      [`userns-unmount ${path}`]: EINVAL,
      [`userns-remount ${path}`]: EPERM,
    });
    const { stdout } = await guest.run([
      'sh',
      '-c',
      `unshare -Urm sh -c 'umount -l ${path}; mount -o remount,rw,bind ${path}; echo x >> ${path}; mount -t tmpfs t /code/repo/.git; mv /code/repo/.git /code/repo/x' 2>&1; cat ${path}`,
    ]);
    expect(stdout).toMatch(/as it was\n$/);
    expect(readFileSync(join(guest.folder, 'code/repo/.git/config'), 'utf8')).toBe('as it was\n');
  });

  it.each(['', 'builder'])('keeps the network and PID 1 as they are from the user %j', async (user) => {
    const found = await attacks(
      [
        ...[
          'raw-socket',
          'packet-socket',
          'add-address',
          'add-route',
          'flush-nft',
          'add-nft',
          'new-netns-route',
        ],
        ...['ptrace-init', 'load-module', 'block-device', 'proc-root', 'udp', 'udp6', 'quic', 'ipv6-literal'],
      ],
      user,
    );
    const { 'new-netns-route': elsewhere, 'ipv6-literal': literal, udp, udp6, quic, ...rest } = found;
    // A network of its own can be made; it leads nowhere.
    expect([ENETUNREACH, ECONNREFUSED, EPERM]).toContain(elsewhere);
    expect([literal, udp, udp6, quic]).toEqual(Array(4).fill(ECONNREFUSED));
    for (const [name, code] of Object.entries(rest)) {
      expect([name, [EPERM, EACCES, ENOSYS].includes(code)]).toEqual([name, true]);
    }
  });

  it('hears root alone on the control socket', async () => {
    expect(await attacks(['control-socket'], 'builder')).toEqual({ 'control-socket': EACCES });
    expect(await attacks(['control-socket'])).toEqual({ 'control-socket': 0 });
    expect(await attacks(['signal-init'], 'builder')).toEqual({ 'signal-init': EPERM });
  });

  it('survives the signals that a root workload sends its first process', async () => {
    await guest.run([
      'sh',
      '-c',
      'kill -KILL 1; kill -STOP 1; kill -SEGV 1; kill -INT 1; kill -HUP 1; kill -USR1 1',
    ]);
    expect((await guest.relay(['mode'])).stdout).toBe('redirect\n');
  });

  it('leaves redirection as it is after all that', async () => {
    const { stdout } = await guest.node(`
      require('net').connect({ host: '203.0.113.5', port: 443, allowHalfOpen: true }).on('connect', function () { this.end('a\\n'); })
        .on('data', (chunk) => process.stdout.write(chunk));
    `);
    expect(stdout).toBe('203.0.113.5:443 a\nend\n');
  });
});

describe.skipIf(reason !== null)('a start that cannot protect', () => {
  it('fails where a path is missing, is a link, or may not be mounted', async () => {
    expect(await failedStart(['--protect', '/code/nothing'])).toBe(
      '125 sand: cannot protect /code/nothing: No such file or directory',
    );
    expect(await failedStart(['--hold', '/code/link'])).toBe(
      '125 sand: cannot hold /code/link: it is a symbolic link',
    );
    expect(await failedStart(['--protect', '/code/repo'], ['net_admin'])).toBe(
      '125 sand: cannot protect /code/repo: Operation not permitted',
    );
  });

  it('fails at arguments that are none', async () => {
    for (const args of [
      ['--port'],
      ['--port', '0'],
      ['--port', '70000'],
      ['--hold', 'relative'],
      ['--else', '1'],
    ]) {
      expect(await failedStart(args)).toMatch(/^2 sand: usage/);
    }
    expect(await failedStart(['--port', '53'])).toMatch(/^125 sand: cannot plant port 53/);
  });
});
