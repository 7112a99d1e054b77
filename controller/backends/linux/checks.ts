/**
 * What `sand doctor` looks at for the linux backend: runs each tool with a bound, and tries in throw-away
 * namespaces what starting a guest does. Changes nothing; `check-verdicts.ts` and `namespace-blockers.ts` judge.
 */
import { existsSync, readFileSync } from 'node:fs';
import { type Attempt, attemptTool } from '../../doctor/attempt.ts';
import { failed, ok } from '../../doctor/finding.ts';
import { type Install, planInstall } from '../../doctor/packages.ts';
import { gatewayRuleset, LINK } from '../../links/namespace/topology.ts';
import { judgeResources } from '../../resources/doctor.ts';
import { readCgroupFacts, systemResourceHost } from '../../resources/host.ts';
import type { CgroupFacts } from '../../resources/plan.ts';
import type { Finding } from '../backend.ts';
import {
  joinVerdicts,
  judgeNamespaces,
  judgeTool,
  judgeTrial,
  TOOLS,
  type Tool,
  type ToolVerdict,
  TRIALS,
  type Trial,
  untried,
} from './check-verdicts.ts';
import { GVISOR_TRIAL, judgeGvisor } from './gvisor/checks.ts';
import {
  detectContainer,
  type NamespaceFacts,
  parseProcessStatus,
  parseSetting,
} from './namespace-blockers.ts';

/** The machine as the checks see it; a test replaces what it must. */
export interface LinuxHost {
  readonly platform: string;
  readonly architecture: string;
  readonly root: boolean;
  /** Null where it cannot be read. */
  readText(path: string): string | null;
  exists(path: string): boolean;
  /** Never rejects, and always ends. */
  attempt(file: string, args: readonly string[], input?: string): Promise<Attempt>;
  cgroups(): CgroupFacts;
}

/** What the planter enters, less its own program. */
const NAMESPACE = ['--user', '--map-root-user', '--net'] as const;

/** What a guest is started with, less its mounts. */
const BUBBLEWRAP = [
  ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
  ...['--disable-userns', '--cap-drop', 'ALL', '--die-with-parent', '--new-session'],
  ...['--ro-bind', '/', '/', '--proc', '/proc', '--ro-bind', '/proc/sys', '/proc/sys', '--dev', '/dev'],
] as const;

/** How the link starts its planter, and how a command enters the guest's namespaces. */
const OPTIONS = [
  ...['setpriv', '--pdeathsig', 'KILL', '--', 'unshare', ...NAMESPACE, '--kill-child', '--'],
  ...['nsenter', '--net=/proc/self/ns/net', '--preserve-credentials', '--', 'true'],
] as const;

/** Loads the gateway's ruleset, and reads it back the way refused destinations are read. */
const NFT_SCRIPT = 'nft -f - && nft -j list table inet sand';
const USUAL_PORTS: readonly number[] = [80, 443];

/** For `ip -batch -`. */
const VETH_COMMANDS = [
  'link set lo up',
  `link add ${LINK.gatewayInterface} type veth peer name ${LINK.guestInterface}`,
  `addr add ${LINK.gateway4}/${LINK.prefix4} dev ${LINK.gatewayInterface}`,
  `link set ${LINK.gatewayInterface} up`,
  'route add local default dev lo',
  '',
].join('\n');

const IPV6_COMMANDS = 'link set lo up\nroute add local default dev lo\n';

export function systemHost(timeoutMs?: number): LinuxHost {
  return {
    platform: process.platform,
    architecture: process.arch,
    root: process.getuid?.() === 0,
    readText(path) {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return null;
      }
    },
    exists: existsSync,
    attempt: (file, args, input) => attemptTool(file, args, input, timeoutMs),
    cgroups: () => readCgroupFacts(systemResourceHost(process.env)),
  };
}

/** Never rejects; one finding a check, or one for each cause where a check has several. */
export async function checkLinux(host: LinuxHost = systemHost()): Promise<readonly Finding[]> {
  if (host.platform !== 'linux') return checkPlatform(host);
  const facts = readNamespaceFacts(host);
  const install = planInstall(host.readText('/etc/os-release') ?? '', host.root);
  const tools = await tryTools(host, install);
  const namespace = await host.attempt('unshare', [...NAMESPACE, '--', 'ip', 'link', 'set', 'lo', 'up']);
  const namespaces = judgeNamespaces(namespace, facts, install);
  const blocked = namespaces.some(({ state }) => state === 'failed');
  const run = async (trial: Trial, needed: readonly ToolName[], command: readonly string[], input = '') => {
    const missing = needed.find((name) => tools[name].version === null);
    if (blocked) return [untried(trial, 'no user namespace can be made')];
    if (missing !== undefined) return [untried(trial, `${missing} is not usable`)];
    const [file = '', ...args] = command;
    return judgeTrial(trial, await host.attempt(file, args, input), facts);
  };
  return [
    ...checkPlatform(host),
    ...namespaces,
    tools.bwrap.finding,
    ...(await run(TRIALS.bubblewrap, ['bwrap'], inNamespace('bwrap', ...BUBBLEWRAP, '--', 'true'))),
    ...joinVerdicts('util-linux', [tools.unshare, tools.nsenter, tools.setpriv]),
    ...(await run(TRIALS.utilLinux, ['unshare', 'nsenter', 'setpriv'], OPTIONS)),
    tools.ip.finding,
    tools.nft.finding,
    ...(await run(
      TRIALS.nftables,
      ['nft'],
      inNamespace('sh', '-c', NFT_SCRIPT),
      gatewayRuleset(USUAL_PORTS),
    )),
    ...(await run(TRIALS.veth, ['ip'], inNamespace('ip', '-batch', '-'), VETH_COMMANDS)),
    ...(await run(TRIALS.ipv6, ['ip'], inNamespace('ip', '-6', '-batch', '-'), IPV6_COMMANDS)),
    ...judgeResources(host.cgroups()),
    await tryGvisor(host, install, !blocked && tools.bwrap.version !== null),
  ];
}

async function tryGvisor(host: LinuxHost, install: Install, isTried: boolean): Promise<Finding> {
  const version = await host.attempt('runsc', ['--version']);
  const [file = '', ...args] = GVISOR_TRIAL;
  const trial = isTried && version.kind === 'ran' ? await host.attempt(file, args) : null;
  return judgeGvisor({ version, trial }, install);
}

function inNamespace(...command: readonly string[]): readonly string[] {
  return ['unshare', ...NAMESPACE, '--', ...command];
}

/** The system call filter is a table for each architecture, and a kernel may be built without filters. */
function checkPlatform(host: LinuxHost): readonly Finding[] {
  const check = 'platform';
  if (host.platform !== 'linux') {
    return [failed(check, `${host.platform} is not Linux`, 'choose another backend with --backend')];
  }
  if (host.architecture !== 'x64' && host.architecture !== 'arm64') {
    const message = `there is no system call filter for ${host.architecture}`;
    return [failed(check, message, 'use an x86-64 or arm64 machine')];
  }
  if (!/^Seccomp:/m.test(host.readText('/proc/self/status') ?? '')) {
    return [
      failed(
        check,
        'this kernel has no system call filters',
        'boot a kernel that is built with CONFIG_SECCOMP_FILTER',
      ),
    ];
  }
  return [ok(check, `linux ${host.architecture}`)];
}

function readNamespaceFacts(host: LinuxHost): NamespaceFacts {
  const setting = (name: string) => parseSetting(host.readText(`/proc/sys/${name}`));
  return {
    hasUserNamespaces: host.exists('/proc/self/ns/user'),
    hasNetNamespaces: host.exists('/proc/self/ns/net'),
    ...parseProcessStatus(host.readText('/proc/self/status') ?? ''),
    unprivilegedUsernsClone: setting('kernel/unprivileged_userns_clone'),
    maxUserNamespaces: setting('user/max_user_namespaces'),
    maxNetNamespaces: setting('user/max_net_namespaces'),
    apparmorRestrictsUserns: setting('kernel/apparmor_restrict_unprivileged_userns'),
    container: detectContainer({
      hasDockerenv: host.exists('/.dockerenv'),
      hasContainerenv: host.exists('/run/.containerenv'),
      hasServiceAccount: host.exists('/var/run/secrets/kubernetes.io'),
      cgroup: host.readText('/proc/1/cgroup') ?? '',
    }),
    selinuxEnforcing: host.readText('/sys/fs/selinux/enforce')?.trim() === '1',
    selinuxDeniesUserns: host.readText('/sys/fs/selinux/booleans/deny_userns')?.startsWith('1') === true,
  };
}

type ToolName = keyof typeof TOOLS;

const CHECK_OF: Readonly<Record<ToolName, string>> = {
  bwrap: 'bubblewrap',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  ip: 'iproute2',
  nft: 'nftables',
};

async function tryTools(host: LinuxHost, install: Install): Promise<Readonly<Record<ToolName, ToolVerdict>>> {
  const judged = async (name: ToolName) => {
    const tool: Tool = TOOLS[name];
    const attempt = await host.attempt(tool.file, tool.versionArgs);
    return judgeTool(CHECK_OF[name], tool, attempt, install);
  };
  const [bwrap, unshare, nsenter, setpriv, ip, nft] = await Promise.all([
    judged('bwrap'),
    judged('unshare'),
    judged('nsenter'),
    judged('setpriv'),
    judged('ip'),
    judged('nft'),
  ]);
  return { bwrap, unshare, nsenter, setpriv, ip, nft };
}
