import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareVersions,
  joinVerdicts,
  judgeNamespaces,
  judgeTool,
  judgeTrial,
  TOOLS,
  type Tool,
  TRIALS,
} from '../../../../controller/backends/linux/check-verdicts.ts';
import type { NamespaceFacts } from '../../../../controller/backends/linux/namespace-blockers.ts';
import type { Attempt } from '../../../../controller/doctor/attempt.ts';

const ran = (stdout: string, exitCode = 0, stderr = ''): Attempt => ({
  kind: 'ran',
  exitCode,
  stdout,
  stderr,
});
const install = (name: string) => `sudo apt-get install ${name}`;

const FACTS: NamespaceFacts = {
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

describe('the version of a tool', () => {
  it.each<[string, Tool, string, string]>([
    ['bubblewrap of Debian 12', TOOLS.bwrap, 'bubblewrap 0.8.0\n', '0.8.0'],
    ['bubblewrap of Fedora', TOOLS.bwrap, 'bubblewrap 0.11.0\n', '0.11.0'],
    ['unshare of Debian 12', TOOLS.unshare, 'unshare from util-linux 2.38.1\n', '2.38.1'],
    ['nsenter of Arch', TOOLS.nsenter, 'nsenter from util-linux 2.41\n', '2.41'],
    ['setpriv of a release candidate', TOOLS.setpriv, 'setpriv from util-linux 2.40-rc2\n', '2.40-rc2'],
    ['ip of Debian 12', TOOLS.ip, 'ip utility, iproute2-6.1.0, libbpf 1.1.2\n', '6.1.0'],
    ['ip of Debian 10', TOOLS.ip, 'ip utility, iproute2-ss190107\n', 'ss190107'],
    ['nft of Debian 12', TOOLS.nft, 'nftables v1.0.6 (Lester Gooch #5)\n', '1.0.6'],
  ])('is read from %s', (_, tool, output, version) => {
    expect(judgeTool(tool.file, tool, ran(output), install)).toMatchObject({
      version,
      finding: { state: 'ok', message: version },
    });
  });

  it.each([
    ['0.7.0', 'failed'],
    ['0.6.1', 'failed'],
    ['0.8.0', 'ok'],
    ['0.8', 'ok'],
    ['0.10.1', 'ok'],
    ['1.0.0', 'ok'],
  ])('of bubblewrap %s is %s against the floor 0.8.0', (version, state) => {
    const { finding } = judgeTool('bubblewrap', TOOLS.bwrap, ran(`bubblewrap ${version}\n`), install);
    expect(finding.state).toBe(state);
  });

  it('too old names the version found, what the floor brought, and the command', () => {
    const { finding, version } = judgeTool('bubblewrap', TOOLS.bwrap, ran('bubblewrap 0.6.1\n'), install);
    expect(version).toBeNull();
    expect(finding.message).toBe('bwrap 0.6.1 is older than 0.8.0, which brought --disable-userns');
    expect(finding.remedy).toMatch(/^sudo apt-get install bubblewrap/);
  });

  it.each<[string, Tool, Attempt]>([
    ['prints something else', TOOLS.bwrap, ran('hello\u001b[2J\n')],
    ['prints nothing', TOOLS.nft, ran('')],
    ['ends with an error', TOOLS.bwrap, ran('bubblewrap 0.8.0\n', 1)],
    ['is of busybox', TOOLS.ip, ran('', 1, 'BusyBox v1.36.1 () multi-call binary.\nUsage: ip [OPTIONS] …\n')],
    ['claims another name', TOOLS.nsenter, ran('unshare from util-linux 2.38.1\n')],
    ['is not installed', TOOLS.nft, { kind: 'missing' }],
    ['hangs', TOOLS.nft, { kind: 'slow', timeoutMs: 5000 }],
    ['was killed', TOOLS.nft, { kind: 'broken', detail: 'it did not end by itself' }],
  ])('of a tool that %s is none, and there is a remedy', (_, tool, attempt) => {
    const { version, finding } = judgeTool(tool.file, tool, attempt, install);
    expect(version).toBeNull();
    expect(finding.state).toBe('failed');
    expect(finding.remedy).toContain(install(tool.package));
  });

  it('is never found in what does not begin with the tool’s own name, whatever it prints', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          text.map((rest) => `bubblewrap 0.9.${rest}`),
        ),
        (printed) => {
          const { version, finding } = judgeTool('bubblewrap', TOOLS.bwrap, ran(printed), install);
          if (version !== null) expect(printed.trimEnd()).toBe(`bubblewrap ${version}`);
          expect(finding.message.length).toBeLessThan(400);
          expect(finding.message).not.toContain('\n');
        },
      ),
    );
  });

  it('is compared by numbers, in a total order', () => {
    expect(compareVersions('0.10.0', '0.9.9')).toBe(1);
    expect(compareVersions('0.8', '0.8.0')).toBe(0);
    const part = fc
      .array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 4 })
      .map((all) => all.join('.'));
    fc.assert(fc.property(part, part, (a, b) => compareVersions(a, b) === 0 - compareVersions(b, a)));
  });

  it('of three programs of one package is told once, and each that is wrong by itself', () => {
    const good = judgeTool('util-linux', TOOLS.unshare, ran('unshare from util-linux 2.38.1\n'), install);
    const missing = judgeTool('util-linux', TOOLS.setpriv, { kind: 'missing' }, install);
    expect(joinVerdicts('util-linux', [good, good])).toMatchObject([{ state: 'ok', message: '2.38.1' }]);
    expect(joinVerdicts('util-linux', [good, missing])).toMatchObject([
      { state: 'failed', message: 'setpriv is not installed' },
    ]);
  });
});

describe('user namespaces', () => {
  it('are fine where unshare made them', () => {
    expect(judgeNamespaces(ran(''), FACTS, install)).toMatchObject([{ state: 'ok' }]);
  });

  it('are fine where only ip was not found in them', () => {
    const attempt = ran('', 127, 'unshare: failed to execute ip: No such file or directory\n');
    expect(judgeNamespaces(attempt, FACTS, install)).toMatchObject([{ state: 'ok' }]);
  });

  it.each<[string, string, Partial<NamespaceFacts>]>([
    [
      'uid_map is refused',
      'unshare: write failed /proc/self/uid_map: Operation not permitted',
      { apparmorRestrictsUserns: 1 },
    ],
    [
      'the loopback cannot be brought up',
      'RTNETLINK answers: Operation not permitted',
      { apparmorRestrictsUserns: 1 },
    ],
  ])('are blocked by AppArmor where %s', (_, stderr, facts) => {
    const found = judgeNamespaces(ran('', 1, stderr), { ...FACTS, ...facts }, install);
    expect(found).toMatchObject([
      { state: 'failed', remedy: 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0' },
    ]);
  });

  it.each<[string, Attempt]>([
    ['missing', { kind: 'missing' }],
    ['hanging', { kind: 'slow', timeoutMs: 100 }],
    ['broken', { kind: 'broken', detail: 'it did not end by itself' }],
  ])('cannot be tried with unshare %s', (_, attempt) => {
    expect(judgeNamespaces(attempt, FACTS, install)).toMatchObject([
      { state: 'failed', remedy: 'sudo apt-get install util-linux' },
    ]);
  });
});

describe('a trial', () => {
  it('that ended well is fine', () => {
    expect(judgeTrial(TRIALS.nftables, ran('{}'), FACTS)).toMatchObject([
      { check: 'nftables ruleset', state: 'ok' },
    ]);
  });

  it('of bubblewrap names the masked /proc of a container', () => {
    const attempt = ran('', 1, "bwrap: Can't mount proc on /newroot/proc: Operation not permitted\n");
    const [docker] = judgeTrial(TRIALS.bubblewrap, attempt, { ...FACTS, container: 'docker' });
    expect(docker?.remedy).toContain('--security-opt systempaths=unconfined');
    const [podman] = judgeTrial(TRIALS.bubblewrap, attempt, { ...FACTS, container: 'podman' });
    expect(podman?.remedy).toContain('--security-opt unmask=ALL');
  });

  it.each([
    [
      'bwrap: setting up uid map: Permission denied',
      'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    ],
    [
      'bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted',
      'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    ],
    [
      'bwrap: Failed to make / slave: Permission denied',
      'see what AppArmor or SELinux denied: sudo dmesg | tail',
    ],
    ['bwrap: something new', 'try it by hand: bwrap --unshare-user --disable-userns --ro-bind / / true'],
  ])('of bubblewrap that says "%s" is told with its cure', (stderr, remedy) => {
    const found = judgeTrial(TRIALS.bubblewrap, ran('', 1, stderr), { ...FACTS, apparmorRestrictsUserns: 1 });
    expect(found).toMatchObject([{ state: 'failed', remedy }]);
  });

  it('of nftables tells a build without JSON from a kernel without the modules', () => {
    const json = judgeTrial(TRIALS.nftables, ran('', 1, 'Error: JSON support not compiled-in\n'), FACTS);
    expect(json[0]?.remedy).toContain('JSON');
    const kernel = judgeTrial(
      TRIALS.nftables,
      ran('', 1, 'Error: Could not process rule: Operation not supported\n'),
      FACTS,
    );
    expect(kernel[0]?.remedy).toMatch(/^sudo modprobe -a nf_tables/);
  });

  it('of IPv6 only warns', () => {
    const found = judgeTrial(TRIALS.ipv6, ran('', 2, 'RTNETLINK answers: Operation not supported\n'), FACTS);
    expect(found).toMatchObject([{ state: 'warning' }]);
  });

  it('that hangs is a failed trial', () => {
    const found = judgeTrial(TRIALS.veth, { kind: 'slow', timeoutMs: 5000 }, FACTS);
    expect(found).toMatchObject([
      { state: 'failed', message: 'does not work: it did not end within 5000 ms' },
    ]);
  });
});
