/**
 * Why this machine does not let sand make a user and network namespace, by name, each with what cures it.
 * Judges facts that `checks.ts` gathers. Pure.
 */

export type Container = 'docker' | 'podman' | 'kubernetes' | 'lxc' | 'container';

/** Each null where the kernel or the machine has no such thing, or it cannot be read. */
export interface NamespaceFacts {
  readonly hasUserNamespaces: boolean;
  readonly hasNetNamespaces: boolean;
  /** CAP_SYS_ADMIN: the settings for unprivileged users do not bind its holder. */
  readonly privileged: boolean;
  readonly unprivilegedUsernsClone: number | null;
  readonly maxUserNamespaces: number | null;
  readonly maxNetNamespaces: number | null;
  readonly apparmorRestrictsUserns: number | null;
  /** The mode in /proc/self/status: 2 is a filter, such as a container's. */
  readonly seccompMode: number | null;
  readonly container: Container | null;
  readonly selinuxEnforcing: boolean;
  /** SELinux boolean `deny_userns`. */
  readonly selinuxDeniesUserns: boolean;
}

export interface Blocker {
  readonly message: string;
  readonly remedy: string;
}

/** One setting that blocks, and the command that lifts it; looked at in this order. */
interface Rule {
  readonly blocks: (facts: NamespaceFacts) => boolean;
  readonly message: string;
  readonly remedy: (facts: NamespaceFacts) => string;
}

const RULES: readonly Rule[] = [
  {
    blocks: (facts) => !facts.hasUserNamespaces,
    message: 'this kernel has no user namespaces',
    remedy: () => 'boot a kernel that is built with CONFIG_USER_NS',
  },
  {
    blocks: (facts) => !facts.hasNetNamespaces,
    message: 'this kernel has no network namespaces',
    remedy: () => 'boot a kernel that is built with CONFIG_NET_NS',
  },
  {
    blocks: (facts) => facts.unprivilegedUsernsClone === 0 && !facts.privileged,
    message: 'kernel.unprivileged_userns_clone is 0',
    remedy: sysctl('kernel.unprivileged_userns_clone=1'),
  },
  {
    blocks: (facts) => facts.maxUserNamespaces === 0,
    message: 'user.max_user_namespaces is 0',
    remedy: sysctl('user.max_user_namespaces=28633'),
  },
  {
    blocks: (facts) => facts.maxNetNamespaces === 0,
    message: 'user.max_net_namespaces is 0',
    remedy: sysctl('user.max_net_namespaces=28633'),
  },
  {
    blocks: (facts) => (facts.apparmorRestrictsUserns ?? 0) !== 0 && !facts.privileged,
    message: 'AppArmor takes all capabilities from them (kernel.apparmor_restrict_unprivileged_userns is 1)',
    remedy: sysctl('kernel.apparmor_restrict_unprivileged_userns=0'),
  },
  {
    blocks: (facts) => facts.selinuxDeniesUserns,
    message: 'the SELinux boolean deny_userns is on',
    remedy: () => 'sudo setsebool -P deny_userns off',
  },
  {
    blocks: (facts) => facts.container !== null && facts.seccompMode === 2,
    message: 'the system call filter (seccomp profile) of the container forbids them',
    remedy: containerOptions,
  },
];

/** Never empty: what no rule explains is said in the failing tool's own words, `said`. */
export function explainNamespaces(facts: NamespaceFacts, said: string): readonly Blocker[] {
  const found = RULES.filter(({ blocks }) => blocks(facts)).map(
    ({ message, remedy }): Blocker => ({ message, remedy: remedy(facts) }),
  );
  return found.length > 0 ? found : [unexplained(facts, said)];
}

function unexplained(facts: NamespaceFacts, said: string): Blocker {
  if (facts.container !== null) {
    return { message: `the container does not allow them: ${said}`, remedy: containerOptions(facts) };
  }
  if (facts.selinuxEnforcing) {
    return {
      message: `not allowed: ${said}`,
      remedy: 'see what SELinux denied: sudo ausearch -m AVC -ts recent',
    };
  }
  if (facts.seccompMode === 2) {
    return {
      message: `not allowed, and a system call filter (seccomp) is in force: ${said}`,
      remedy: 'start sand outside the sandbox or service that put the filter on',
    };
  }
  return { message: `not allowed: ${said}`, remedy: 'read the kernel log for the reason: sudo dmesg | tail' };
}

/** In a container the setting is its host's. */
function sysctl(setting: string): (facts: NamespaceFacts) => string {
  return (facts) => `${facts.container === null ? '' : "on the container's host: "}sudo sysctl -w ${setting}`;
}

/**
 * The options with which a container lets a guest be made in it: no filter on namespaces, and a /proc without
 * masks, since the kernel refuses a new /proc that would show more than the old one.
 */
export function containerOptions(facts: Pick<NamespaceFacts, 'container'>): string {
  const docker =
    'docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined …';
  switch (facts.container) {
    case 'podman':
      return 'start the container with: podman run --security-opt seccomp=unconfined --security-opt unmask=ALL …';
    case 'kubernetes':
      return 'give the pod seccompProfile type Unconfined, appArmorProfile type Unconfined and procMount Unmasked';
    case 'lxc':
      return "on the container's host: lxc config set NAME security.nesting true";
    case 'docker':
    case 'container':
    case null:
      return `start the container with: ${docker}`;
  }
}

/** From the files that container engines leave in a container, and the cgroup of its first process. */
export function detectContainer(seen: {
  readonly hasDockerenv: boolean;
  readonly hasContainerenv: boolean;
  readonly hasServiceAccount: boolean;
  readonly cgroup: string;
}): Container | null {
  if (seen.hasServiceAccount || /kubepods/.test(seen.cgroup)) return 'kubernetes';
  if (seen.hasContainerenv || /libpod/.test(seen.cgroup)) return 'podman';
  if (seen.hasDockerenv || /docker/.test(seen.cgroup)) return 'docker';
  if (/(^|[/.])lxc/m.test(seen.cgroup)) return 'lxc';
  return /containerd|crio|garden/.test(seen.cgroup) ? 'container' : null;
}

/** CapEff and Seccomp of /proc/self/status (proc(5)); CAP_SYS_ADMIN is capability 21. */
export function parseProcessStatus(status: string): {
  readonly privileged: boolean;
  readonly seccompMode: number | null;
} {
  const capabilities = /^CapEff:\s*([0-9a-f]{1,16})$/im.exec(status)?.[1] ?? '0';
  const mode = /^Seccomp:\s*(\d)$/m.exec(status)?.[1];
  return {
    privileged: ((BigInt(`0x${capabilities}`) >> 21n) & 1n) === 1n,
    seccompMode: mode === undefined ? null : Number(mode),
  };
}

/** A sysctl file holds one number; null where it does not, or is not there. */
export function parseSetting(text: string | null): number | null {
  const trimmed = text?.trim() ?? '';
  return /^-?\d{1,15}$/.test(trimmed) ? Number(trimmed) : null;
}
