import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { planInitramfs } from '../../../../../controller/backends/linux/vm/initramfs.ts';

const ENVIRONMENT = { PATH: '/usr/bin:/bin', QUOTED: `it's "$HOME" \`id\``, 'not a name': 'x', EMPTY: '' };
const entries = planInitramfs({
  busybox: Buffer.from('busybox'),
  modules: [
    { name: 'fuse', content: Buffer.from('1') },
    { name: 'virtiofs', content: Buffer.from('2') },
  ],
  identity: { uid: 1001, gid: 1002 },
  environment: ENVIRONMENT,
  serverKey: 'server secret',
  clientPublicLine: 'ecdsa AAAA',
  sharesSystem: true,
});

function textOf(path: string): string {
  const entry = entries.find((one) => one.path === path);
  if (entry?.kind !== 'file') throw new Error(`no file ${path}`);
  return entry.content.toString();
}

describe('planInitramfs', () => {
  it('has every folder before what is in it, and each path once', () => {
    const seen = new Set(['']);
    for (const { path } of entries) {
      expect(seen, path).toContain(path.slice(0, Math.max(path.lastIndexOf('/'), 0)));
      expect(seen).not.toContain(path);
      seen.add(path);
    }
  });

  it.each(['init', 'sand/guest/run', 'sand/guest/report', 'sand/guest/end', 'sand/guest/environment'])(
    '%s is a script that sh reads',
    (path) => {
      expect(spawnSync('/bin/sh', ['-n'], { input: textOf(path) }).stderr.toString()).toBe('');
    },
  );

  it('gives commands the guest\u2019s variables as they are', () => {
    const script = `${textOf('sand/guest/environment')}printf '%s|%s|%s' "$PATH" "$QUOTED" "$EMPTY"`;
    const { stdout } = spawnSync('/bin/sh', ['-c', script], { env: {}, encoding: 'utf8' });
    expect(stdout).toBe(`${ENVIRONMENT.PATH}|${ENVIRONMENT.QUOTED}|`);
  });

  it('names the modules in their order, and the user', () => {
    expect(textOf('sand/settings')).toBe("MODULES='fuse virtiofs'\nIDENTITY=1001:1002\nSYSTEM=yes\n");
  });

  it('gives commands no new privileges and no root', () => {
    expect(textOf('init')).toMatch(/setpriv --nnp .* start-stop-daemon -S -c "\$IDENTITY"/);
  });

  it('ends the machine where a step fails', () => {
    const mounts = textOf('init')
      .split('\n')
      .filter((line) => /mount -t (virtiofs|tmpfs|devpts)/.test(line));
    expect(mounts.length).toBeGreaterThan(3);
    for (const line of mounts) expect(line).toContain('|| fail');
  });

  it('keeps the server\u2019s key from everybody else, and lets in one key alone', () => {
    expect(entries.find(({ path }) => path === 'sand/guest/server-key')).toMatchObject({ mode: 0o600 });
    expect(textOf('sand/guest/authorized-keys')).toBe('ecdsa AAAA\n');
    expect(textOf('sand/guest/sshd-config')).toMatch(/^PasswordAuthentication no$/m);
    expect(textOf('sand/guest/sshd-config')).toMatch(/^PermitOpen 127\.0\.0\.1:\*$/m);
  });
});
