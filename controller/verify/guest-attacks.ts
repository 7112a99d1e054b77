/**
 * The attacks of `sand verify` on the guest's confinement: its network, its kernel, the files of the host. Pure data made of
 * where it is tried. On a kernel of the guest's own some harm nobody else, and are told without having to hold.
 */
import type { Attack, Grounds } from './attack.ts';
import { hostSide, list, shortened, tried } from './attack-forms.ts';
import { ERRNO } from './errno.ts';

/** Files of the workspace that no guest may write, as verify plants them. */
export const PROTECTED = {
  hook: '.git/hooks/pre-commit',
  config: '.git/config',
  policy: 'sand.policy.yaml',
  project: 'sand.yaml',
} as const;
/** Not there: a guest that makes it gives the host something to run. */
export const NEW_HOOK = '.git/hooks/post-checkout';
/** By which the host's look at the folder that is shown read-only is known. */
export const READ_ONLY = 'the read-only share';

/** Of an attack that needs its file: without it nothing was tried. */
const NEEDS_FILE = [ERRNO.ENOENT];

export function guestAttacks(grounds: Grounds): readonly Attack[] {
  return [
    ...networkAttacks(grounds),
    ...kernelAttacks(grounds),
    ...fileAttacks(grounds),
    ...secretAttacks(grounds),
  ];
}

function networkAttacks({ kernel, link }: Grounds): readonly Attack[] {
  // Where the guest's network is another kernel's, what its own kernel lets it do to its own changes nothing.
  const isBinding = kernel === 'host' || link === 'relay';
  return [
    list('interfaces', 'a network card that nobody knows of', 'interfaces', 'interfaces'),
    list('routes', 'a route past the gateway', 'routes', 'routes'),
    {
      ...list('privileges', 'privileges over network, mounts and kernel', 'status', 'privileges'),
      isBinding,
    },
    tried('raw-socket', 'opening a raw socket', 'raw-socket'),
    tried('packet-socket', 'opening a packet socket', 'packet-socket'),
    tried('add-address', 'adding an address', 'add-address'),
    tried('add-route', 'adding a route', 'add-route'),
    tried('own-routes', 'setting up loopback and its routes anew', 'own-routes'),
    tried('flush-nft', 'flushing the packet filter', 'flush-nft'),
    tried('add-nft', 'adding to the packet filter', 'add-nft'),
    tried('tun', 'making a TUN interface', 'tun'),
    tried('new-netns', 'a network namespace of its own, and out of it', 'new-netns-route'),
    tried('vsock-host', 'vsock to the host', 'vsock-host'),
    tried('vsock-other', 'vsock to other guests', 'vsock-other'),
  ];
}

function kernelAttacks({ kernel, link }: Grounds): readonly Attack[] {
  const own = (attack: Attack): Attack => ({ ...attack, isBinding: kernel === 'host' });
  return [
    tried('ptrace-init', 'tracing the first process', 'ptrace-init'),
    tried('init-root', 'the root of the first process', 'proc-root'),
    tried('sysctl', 'writing /proc/sys', 'kernel-write'),
    tried('block-device', 'making and opening a disk\u2019s device node', 'block-device'),
    own(tried('module', 'loading a kernel module', 'load-module')),
    own(tried('kernel-log', 'writing the kernel\u2019s log', 'kmsg')),
    own(tried('keyring', 'the session keyring of the caller', 'keyring')),
    ...(link === 'relay'
      ? [tried('control-socket', 'the relay\u2019s control socket, as an ordinary user', 'control-as-nobody')]
      : []),
  ];
}

function fileAttacks({ workspace }: Grounds): readonly Attack[] {
  const at = (name: string) => `${workspace}/${name}`;
  const on = (id: string, words: string, name: string, act: string, path = name): Attack => ({
    ...tried(id, words, act, at(path)),
    must: { kind: 'intact', file: name, absent: NEEDS_FILE },
  });
  const { hook, config, policy, project } = PROTECTED;
  return [
    on('write-hook', 'writing a git hook', hook, 'write'),
    on('write-git-config', 'writing git\u2019s configuration', config, 'write'),
    on('write-policy', 'writing the policy in force', policy, 'write'),
    on('write-project', 'writing sand.yaml', project, 'write'),
    on('new-hook', 'making a new git hook', NEW_HOOK, 'write'),
    on('rename-hook', 'renaming a git hook', hook, 'rename'),
    on('rename-hooks', 'renaming the folder of hooks', hook, 'rename', '.git/hooks'),
    on('rename-git', 'renaming the git folder', hook, 'rename', '.git'),
    on('rename-policy', 'renaming the policy in force', policy, 'rename'),
    on('remount-hooks', 'remounting the hooks writable', hook, 'mount-remount', '.git/hooks'),
    on('unmount-hooks', 'unmounting what protects the hooks', hook, 'unmount', '.git/hooks'),
    on('remount-policy', 'remounting the policy writable', policy, 'mount-remount'),
    on('unmount-policy', 'unmounting what protects the policy', policy, 'unmount'),
    on('userns-remount', 'remounting in a user namespace of its own', policy, 'userns-remount'),
    on('userns-unmount', 'unmounting in a user namespace of its own', policy, 'userns-unmount'),
  ];
}

function secretAttacks(grounds: Grounds): readonly Attack[] {
  const { secretPaths, secret, variable, logFolder } = grounds;
  return [
    ...secretPaths.flatMap((path, at) => [
      tried(`secret-${at}`, `a secret of the host: ${shortened(path)}`, 'holds', `${path} ${secret}`),
      tried(`secret-init-${at}`, 'the same below /proc/1/root', 'holds', `/proc/1/root${path} ${secret}`),
    ]),
    tried('environment', 'a variable of yours', 'environment', variable),
    tried('audit-logs', 'the folder of sand\u2019s audit logs', 'read', logFolder),
    hostSide('log', 'the audit log of this run', { kind: 'log' }),
  ];
}
