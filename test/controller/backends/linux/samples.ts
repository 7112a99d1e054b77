/** A guest and a host as plain values, for the tests of the linux backend's plans. */
import type { CommandSpec, InitSpec } from '../../../../controller/backends/linux/argv.ts';
import { HOST_LAUNCHER } from '../../../../controller/backends/linux/launcher.ts';
import type { FilesRequest, GuestIdentity, HostFiles } from '../../../../controller/backends/linux/mounts.ts';
import { planMounts } from '../../../../controller/backends/linux/mounts.ts';

export const CALLER: GuestIdentity = { uid: 1234, gid: 1234, user: 'sand', home: '/home/ada' };

export const HOST: HostFiles = {
  system: [
    { path: '/usr', link: null },
    { path: '/bin', link: 'usr/bin' },
    { path: '/etc', link: null },
    { path: '/run/current-system', link: null },
  ],
  unreadable: [
    { path: '/etc/shadow', folder: false },
    { path: '/etc/ssl/private', folder: true },
  ],
  resolvConf: '/run/resolvconf/resolv.conf',
  hosts: '/etc/hosts',
  nsswitch: null,
  passwd: '/etc/passwd',
  group: '/etc/group',
  procWritable: ['/proc/sys'],
  procHidden: ['/proc/kcore'],
  toolchains: ['/home/ada/.nvm'],
  sockets: ['/home/ada/project/agent.sock', '/usr/lib/daemon.sock', '/run/docker.sock'],
};

export function filesRequest(changes: Partial<FilesRequest> = {}): FilesRequest {
  return {
    host: HOST,
    identity: CALLER,
    workspaces: [{ source: '/home/ada/project', target: '/home/ada/project', writable: true }],
    guards: [],
    extras: [],
    nameserver: '198.18.0.1',
    ...changes,
  };
}

export function initSpec(changes: Partial<InitSpec> = {}): InitSpec {
  return {
    holderPid: 4321,
    mounts: planMounts(filesRequest()),
    identity: CALLER,
    filter: Buffer.from('filter'),
    joining: [],
    launcher: HOST_LAUNCHER,
    overlay: null,
    ...changes,
  };
}

export function commandSpec(changes: Partial<CommandSpec> = {}): CommandSpec {
  return {
    holderPid: 4321,
    initPid: 5678,
    identity: CALLER,
    environment: { PATH: '/usr/bin', TOKEN: 'a secret' },
    workdir: '/home/ada/project',
    terminal: false,
    filter: Buffer.from('filter'),
    launcher: HOST_LAUNCHER,
    command: ['npm', 'view', 'express', 'version'],
    joining: [],
    ...changes,
  };
}
