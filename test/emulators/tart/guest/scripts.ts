/**
 * The files that a guest finds of the emulator's: what it boots with, and programs that look like macOS's as far as their callers can
 * tell. Each of those notes what it was told in `/.emulator/told`.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { GuestOs } from '../vms.ts';

/** Everything of the emulator's in the guest, out of the way of what is tested. */
export const PLACE = '/.emulator';

export interface GuestFile {
  readonly path: string;
  readonly text: string;
  readonly mode: string;
}

export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export const ACCOUNTS: Readonly<Record<GuestOs, Account>> = {
  darwin: { uid: 501, gid: 20, home: '/Users/admin' },
  linux: { uid: 1000, gid: 1000, home: '/home/admin' },
};

export const CARDS: Readonly<Record<GuestOs, string>> = { darwin: 'en0', linux: 'enp0s1' };
/** Of a fault: one that leads nowhere, and has no address. */
export const SECOND_CARDS: Readonly<Record<GuestOs, string>> = { darwin: 'en1', linux: 'enp0s2' };

function source(name: string): string {
  return readFileSync(fileURLToPath(new URL(`files/${name}`, import.meta.url)), 'utf8');
}

/** By the names that macOS has them under; its `/sbin` is a folder of its own, and not in the agent's PATH. */
const LOOK_ALIKES = [
  ...['/usr/sbin/networksetup', '/usr/sbin/scutil', '/usr/sbin/ipconfig', '/usr/sbin/systemsetup'],
  ...['/usr/bin/sw_vers', '/usr/bin/security', '/usr/bin/defaults', '/usr/bin/dscacheutil', '/usr/bin/uname'],
  ...[
    '/sbin/ifconfig',
    '/sbin/route',
    '/usr/bin/killall',
    '/usr/sbin/netstat',
    '/usr/bin/pbcopy',
    '/usr/bin/pbpaste',
  ],
];
const ENDINGS = ['shutdown', 'halt', 'reboot', 'poweroff'];

export function guestFiles(os: GuestOs, hasZsh: boolean): readonly GuestFile[] {
  const program = (path: string, text: string): GuestFile => ({ path, text, mode: '755' });
  const ending = source('shutdown.sh');
  const shared = [
    program(`${PLACE}/init`, source('init.sh')),
    program(`${PLACE}/lease`, source('lease.sh')),
    program(`${PLACE}/mount`, source('mount.sh')),
    { path: `${PLACE}/${os}`, text: '', mode: '644' },
    { path: `${PLACE}/told`, text: '', mode: '666' },
  ];
  if (os === 'linux') return [...shared, ...ENDINGS.map((name) => program(`/usr/sbin/${name}`, ending))];
  const look = source('mac.sh');
  return [
    ...shared,
    ...['shutdown', 'halt', 'reboot'].map((name) => program(`/sbin/${name}`, ending)),
    ...LOOK_ALIKES.map((path) => program(path, look)),
    program(`${PLACE}/tar`, source('tar.sh')),
    // The login shell of macOS, where the image has none.
    ...(hasZsh ? [] : [program('/bin/zsh', '#!/bin/sh\nexec /bin/bash "$@"\n')]),
    program('/sbin/mount_virtiofs', source('mount.sh')),
    program('/sbin/mount', source('mount.sh')),
  ];
}

/** Of the image's own lines those stay that are not in the way. */
export function accountFiles(os: GuestOs, passwd: string, group: string): readonly GuestFile[] {
  const { uid, gid, home } = ACCOUNTS[os];
  const shell = os === 'darwin' ? '/bin/zsh' : '/bin/bash';
  const names = os === 'darwin' ? { [gid]: 'staff', 80: 'admin' } : { [gid]: 'admin' };
  const keep = (text: string, ids: readonly string[], words: readonly string[]) =>
    text
      .split('\n')
      .filter(
        (line) =>
          line !== '' && !ids.includes(line.split(':')[2] ?? '') && !words.includes(line.split(':')[0] ?? ''),
      );
  const users = [...keep(passwd, [String(uid)], ['admin']), `admin:x:${uid}:${gid}:admin:${home}:${shell}`];
  const groups = [
    ...keep(group, Object.keys(names), Object.values(names)),
    ...Object.entries(names).map(([id, name]) => `${name}:x:${id}:${name === 'admin' ? 'admin' : ''}`),
  ];
  const write = (path: string, lines: readonly string[]) => ({
    path,
    text: `${lines.join('\n')}\n`,
    mode: '644',
  });
  return [write('/etc/passwd', users), write('/etc/group', groups)];
}
