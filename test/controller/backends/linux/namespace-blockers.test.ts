import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  containerOptions,
  detectContainer,
  explainNamespaces,
  type NamespaceFacts,
  parseProcessStatus,
  parseSetting,
} from '../../../../controller/backends/linux/namespace-blockers.ts';

const SAID = 'unshare: unshare failed: Operation not permitted';

const OPEN: NamespaceFacts = {
  hasUserNamespaces: true,
  hasNetNamespaces: true,
  privileged: false,
  unprivilegedUsernsClone: null,
  maxUserNamespaces: 96365,
  maxNetNamespaces: 96365,
  apparmorRestrictsUserns: null,
  seccompMode: 0,
  container: null,
  selinuxEnforcing: false,
  selinuxDeniesUserns: false,
};

const explain = (facts: Partial<NamespaceFacts>) => explainNamespaces({ ...OPEN, ...facts }, SAID);

describe('what blocks namespaces', () => {
  it.each<[string, Partial<NamespaceFacts>, string, string]>([
    [
      'an old Debian',
      { unprivilegedUsernsClone: 0 },
      'kernel.unprivileged_userns_clone',
      'sudo sysctl -w kernel.unprivileged_userns_clone=1',
    ],
    [
      'no user namespaces left',
      { maxUserNamespaces: 0 },
      'user.max_user_namespaces',
      'sudo sysctl -w user.max_user_namespaces=28633',
    ],
    [
      'no network namespaces left',
      { maxNetNamespaces: 0 },
      'user.max_net_namespaces',
      'sudo sysctl -w user.max_net_namespaces=28633',
    ],
    [
      'Ubuntu 24.04',
      { apparmorRestrictsUserns: 1 },
      'AppArmor',
      'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    ],
    ['SELinux', { selinuxDeniesUserns: true }, 'deny_userns', 'sudo setsebool -P deny_userns off'],
    [
      'a kernel without them',
      { hasUserNamespaces: false },
      'no user namespaces',
      'boot a kernel that is built with CONFIG_USER_NS',
    ],
    [
      'a kernel without network namespaces',
      { hasNetNamespaces: false },
      'no network namespaces',
      'boot a kernel that is built with CONFIG_NET_NS',
    ],
  ])('names %s and the command that cures it', (_, facts, named, remedy) => {
    const found = explain(facts);
    expect(found).toHaveLength(1);
    expect(found[0]?.message).toContain(named);
    expect(found[0]?.remedy).toBe(remedy);
  });

  it('names the seccomp profile of a Docker container, with the option that lifts it', () => {
    const found = explain({ container: 'docker', seccompMode: 2 });
    expect(found).toHaveLength(1);
    expect(found[0]?.message).toContain('seccomp');
    expect(found[0]?.remedy).toContain('docker run --security-opt seccomp=unconfined');
  });

  it('names every setting that blocks, not only the first', () => {
    const found = explain({ maxUserNamespaces: 0, apparmorRestrictsUserns: 1 });
    expect(found.map(({ remedy }) => remedy)).toEqual([
      'sudo sysctl -w user.max_user_namespaces=28633',
      'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    ]);
  });

  it('sends the settings of a container to its host', () => {
    const [first] = explain({ maxUserNamespaces: 0, container: 'docker' });
    expect(first?.remedy).toBe("on the container's host: sudo sysctl -w user.max_user_namespaces=28633");
  });

  it('does not blame the settings for unprivileged users when the caller holds CAP_SYS_ADMIN', () => {
    const found = explain({ privileged: true, unprivilegedUsernsClone: 0, apparmorRestrictsUserns: 1 });
    expect(found).toHaveLength(1);
    expect(found[0]?.message).toContain(SAID);
  });

  it.each<[string, Partial<NamespaceFacts>, RegExp]>([
    ['a container', { container: 'podman' }, /podman run/],
    ['SELinux', { selinuxEnforcing: true }, /ausearch/],
    ['a filter outside a container', { seccompMode: 2 }, /outside the sandbox/],
    ['nothing that is known', {}, /dmesg/],
  ])('quotes the tool where only %s can be the cause', (_, facts, remedy) => {
    const found = explain(facts);
    expect(found).toHaveLength(1);
    expect(found[0]?.message).toContain(SAID);
    expect(found[0]?.remedy).toMatch(remedy);
  });

  it('never explains nothing, and always says what to do', () => {
    const number = fc.option(fc.integer({ min: 0, max: 3 }));
    const facts = fc.record<NamespaceFacts>({
      hasUserNamespaces: fc.boolean(),
      hasNetNamespaces: fc.boolean(),
      privileged: fc.boolean(),
      unprivilegedUsernsClone: number,
      maxUserNamespaces: number,
      maxNetNamespaces: number,
      apparmorRestrictsUserns: number,
      seccompMode: number,
      container: fc.constantFrom(null, 'docker', 'podman', 'kubernetes', 'lxc', 'container'),
      selinuxEnforcing: fc.boolean(),
      selinuxDeniesUserns: fc.boolean(),
    });
    fc.assert(
      fc.property(facts, (some) => {
        const found = explainNamespaces(some, SAID);
        return found.length > 0 && found.every(({ message, remedy }) => message !== '' && remedy !== '');
      }),
    );
  });
});

describe('the machine around', () => {
  const seen = { hasDockerenv: false, hasContainerenv: false, hasServiceAccount: false, cgroup: '0::/\n' };

  it.each([
    ['nothing', {}, null],
    ['the file that Docker leaves', { hasDockerenv: true }, 'docker'],
    ['the file that podman leaves', { hasContainerenv: true }, 'podman'],
    ['a service account', { hasServiceAccount: true, hasDockerenv: true }, 'kubernetes'],
    ['a cgroup of Docker', { cgroup: '4:memory:/docker/0f3a\n0::/\n' }, 'docker'],
    [
      'a cgroup of Kubernetes',
      { cgroup: '0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-2.scope\n' },
      'kubernetes',
    ],
    ['a cgroup of LXC', { cgroup: '0::/lxc.payload.one\n' }, 'lxc'],
    ['a cgroup of containerd', { cgroup: '0::/system.slice/containerd.service/x\n' }, 'container'],
  ])('tells a container by %s', (_, given, expected) => {
    expect(detectContainer({ ...seen, ...given })).toBe(expected);
  });

  it('gives every kind of container options of its own engine', () => {
    expect(containerOptions({ container: 'kubernetes' })).toContain('procMount');
    expect(containerOptions({ container: 'lxc' })).toContain('security.nesting');
    expect(containerOptions({ container: null })).toContain('docker run');
  });

  it('reads CAP_SYS_ADMIN and the seccomp mode of a process', () => {
    const root = 'Name:\tnode\nCapEff:\t000001ffffffffff\nSeccomp:\t0\nSeccomp_filters:\t0\n';
    expect(parseProcessStatus(root)).toEqual({ privileged: true, seccompMode: 0 });
    const contained = 'CapEff:\t00000000a80425fb\nSeccomp:\t2\n';
    expect(parseProcessStatus(contained)).toEqual({ privileged: false, seccompMode: 2 });
    expect(parseProcessStatus('')).toEqual({ privileged: false, seccompMode: null });
  });

  it('takes nothing but a number for a setting', () => {
    expect(parseSetting('0\n')).toBe(0);
    expect(parseSetting('96365\n')).toBe(96365);
    expect(parseSetting(null)).toBeNull();
    expect(parseSetting('')).toBeNull();
    expect(parseSetting('1 1\n')).toBeNull();
  });

  it('survives any text of /proc', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        parseSetting(text);
        parseProcessStatus(text);
        detectContainer({ ...seen, cgroup: text });
      }),
    );
  });
});
