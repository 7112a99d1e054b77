/** Where in a VM guest and in its sandbox its machine's own files are, and which addresses its network has. Values only. */

/**
 * The sandbox has here what runs the machine: kernel, keys, sockets. The machine lays a file system of its own over it,
 * so that what runs inside sees another folder of that name.
 */
export const MACHINE_FOLDER = '/run/sand-machine';

const within = (name: string): string => `${MACHINE_FOLDER}/${name}`;

/**
 * In both alike: a file with the exit status of each command that has ended while what it started still holds its output.
 * The guest can write there; what it says is the status of its own command.
 */
export const ENDED_FOLDER = '/run/sand-ended';

/** In the sandbox. */
export const SANDBOX = {
  kernel: within('kernel'),
  initramfs: within('initramfs'),
  clientKey: within('client-key'),
  knownHosts: within('known-hosts'),
  clientConfig: within('ssh-config'),
  /** Made by the SSH client that stays connected. */
  control: within('control'),
  /** Made by virtiofsd, one for each share. */
  files: within('files'),
  system: within('system'),
} as const;

/** In the machine. */
export const MACHINE = {
  busybox: within('busybox'),
  serverConfig: within('sshd-config'),
  serverKey: within('server-key'),
  authorizedKeys: within('authorized-keys'),
  environment: within('environment'),
  run: within('run'),
  report: within('report'),
  end: within('end'),
  /** One file a running command, with its process id. */
  commands: within('commands'),
} as const;

/**
 * QEMU's own little network, in the /24 that no DNS answer ever hands out; the link's addresses lie outside it and are
 * reached through it. `host` is the sandbox's loopback, where nothing but the way to the SSH server listens.
 */
export const NETWORK = {
  prefix4: '198.18.0.128/28',
  host4: '198.18.0.129',
  machine4: '198.18.0.130',
  resolver4: '198.18.0.131',
  bits4: 28,
  prefix6: 'fd73:616e:65::/64',
  host6: 'fd73:616e:65::1',
  resolver6: 'fd73:616e:65::3',
  machine6: 'fd73:616e:65::2',
  bits6: 64,
  interface: 'eth0',
  /** On the machine's own address, and on the loopback of its sandbox: the one port that a guest's servers cannot have. */
  sshPort: 65022,
} as const;

/** The machine's first process prints these at the console, and nothing in the guest's hands starts before the last. */
export const CONSOLE = { ready: 'sand-machine: ready', failed: 'sand-machine: failed' } as const;
