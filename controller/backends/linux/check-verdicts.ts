/**
 * What the linux backend's tools said, judged: is it the tool that is meant, is it new enough, did the trial
 * that resembles a guest's start succeed. Pure; `checks.ts` runs them.
 */

import { type Attempt, describeAttempt, succeeded } from '../../doctor/attempt.ts';
import { excerpt, failed, ok, warning } from '../../doctor/finding.ts';
import type { Install, PackageName } from '../../doctor/packages.ts';
import type { Finding } from '../backend.ts';
import {
  type Blocker,
  containerOptions,
  explainNamespaces,
  type NamespaceFacts,
} from './namespace-blockers.ts';

export interface Tool {
  readonly file: string;
  readonly package: PackageName;
  /** Prints the version, and nothing else. */
  readonly versionArgs: readonly string[];
  /** First group: the version. Of this tool alone: a multi-call binary of the same name prints something else. */
  readonly version: RegExp;
  /** The oldest that does, and what it brought; null where only a trial can tell. */
  readonly floor: { readonly version: string; readonly brought: string } | null;
}

export const TOOLS = {
  bwrap: {
    file: 'bwrap',
    package: 'bubblewrap',
    versionArgs: ['--version'],
    version: /^bubblewrap (\d+(?:\.\d+){1,3})\s*$/,
    floor: { version: '0.8.0', brought: '--disable-userns' },
  },
  unshare: utilLinux('unshare'),
  nsenter: utilLinux('nsenter'),
  setpriv: utilLinux('setpriv'),
  ip: {
    file: 'ip',
    package: 'iproute2',
    versionArgs: ['-V'],
    version: /^ip utility, iproute2-([\w.+~-]{1,40})/,
    floor: null,
  },
  nft: {
    file: 'nft',
    package: 'nftables',
    versionArgs: ['--version'],
    version: /^nftables v(\d+(?:\.\d+){1,3})\b/,
    floor: null,
  },
} as const satisfies Readonly<Record<string, Tool>>;

function utilLinux(file: string): Tool {
  const version = new RegExp(`^${file} from util-linux (\\d[\\w.+~-]{0,40})\\s*$`);
  return { file, package: 'util-linux', versionArgs: ['--version'], version, floor: null };
}

export interface ToolVerdict {
  /** Null where the tool is missing or cannot be trusted to be what it is called. */
  readonly version: string | null;
  readonly finding: Finding;
}

export function judgeTool(check: string, tool: Tool, attempt: Attempt, installation: Install): ToolVerdict {
  const install = installation(tool.package);
  const named = check === tool.file ? '' : `${tool.file} `;
  const unusable = (message: string, remedy: string): ToolVerdict => ({
    version: null,
    finding: failed(check, `${named}${message}`, remedy),
  });
  if (attempt.kind === 'missing') return unusable('is not installed', install);
  if (attempt.kind !== 'ran') {
    const why = excerpt(describeAttempt(attempt));
    return unusable(`does not work: ${why}`, `see what it is: command -v ${tool.file}; else ${install}`);
  }
  const version = tool.version.exec(attempt.stdout)?.[1];
  if (attempt.exitCode !== 0 || version === undefined) {
    const said = excerpt(attempt.stdout || attempt.stderr) || 'nothing';
    return unusable(`is not the one of ${tool.package}: asked for its version, it said: ${said}`, install);
  }
  if (tool.floor !== null && compareVersions(version, tool.floor.version) < 0) {
    const { version: floor, brought } = tool.floor;
    return unusable(
      `${version} is older than ${floor}, which brought ${brought}`,
      `${install} (where that is no newer, use a newer release of the distribution)`,
    );
  }
  return { version, finding: ok(check, version) };
}

/** Numbers between dots, as far as both have them; a part that is no number counts as 0. */
export function compareVersions(a: string, b: string): number {
  const left = numbersOf(a);
  const right = numbersOf(b);
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

function numbersOf(version: string): readonly number[] {
  return version.split('.').map((part) => Number.parseInt(part, 10) || 0);
}

/** The three programs of util-linux as one finding where all is well, else one for each that is not. */
export function joinVerdicts(check: string, verdicts: readonly ToolVerdict[]): readonly Finding[] {
  const bad = verdicts.filter(({ version }) => version === null).map(({ finding }) => finding);
  if (bad.length > 0) return bad;
  return [ok(check, [...new Set(verdicts.map(({ version }) => version))].join(', '))];
}

/** One finding for each cause. `attempt` is of `unshare`, with `ip` inside the namespaces. */
export function judgeNamespaces(
  attempt: Attempt,
  facts: NamespaceFacts,
  install: Install,
): readonly Finding[] {
  const check = 'user namespaces';
  if (succeeded(attempt)) return [ok(check, 'can be made')];
  if (attempt.kind === 'missing') {
    return [failed(check, 'cannot be tried: unshare is missing', install('util-linux'))];
  }
  // unshare made them, and found no ip to start in them: that has a check of its own.
  if (attempt.kind === 'ran' && /failed to execute ip\b/.test(attempt.stderr))
    return [ok(check, 'can be made')];
  const said = excerpt(describeAttempt(attempt));
  if (attempt.kind !== 'ran')
    return [failed(check, `cannot be tried: unshare does not work: ${said}`, install('util-linux'))];
  return explainNamespaces(facts, said).map(({ message, remedy }) => failed(check, message, remedy));
}

/** What a trial that failed has to say for itself; the first pattern that its complaint matches holds. */
interface Complaint {
  readonly pattern: RegExp;
  readonly explain: (facts: NamespaceFacts, said: string) => readonly Blocker[];
}

export interface Trial {
  readonly check: string;
  readonly passed: string;
  /** A failure of this only warns. */
  readonly optional: boolean;
  readonly complaints: readonly Complaint[];
  readonly remedy: string;
}

const MODULES = 'nf_tables nft_ct nft_nat nft_redir nft_reject_inet';

const NAMESPACES_BLOCKED: Complaint = {
  pattern: /uid map|RTM_NEWADDR|new namespace|unshare failed|uid_map|No space left/i,
  explain: explainNamespaces,
};

export const TRIALS = {
  utilLinux: {
    check: 'util-linux options',
    passed: 'known',
    optional: false,
    complaints: [],
    remedy:
      'install a newer util-linux: setpriv --pdeathsig, unshare --kill-child, nsenter --preserve-credentials',
  },
  bubblewrap: {
    check: 'bubblewrap start',
    passed: 'works',
    optional: false,
    complaints: [
      {
        pattern: /Can't mount proc/i,
        explain: (facts, said) => [
          {
            message: `parts of /proc are masked, so no new one can be mounted: ${said}`,
            remedy: containerOptions(facts),
          },
        ],
      },
      NAMESPACES_BLOCKED,
      {
        pattern: /slave|mount|pivot/i,
        explain: (facts, said) => [
          {
            message: `it may not mount: ${said}`,
            remedy:
              facts.container === null
                ? 'see what AppArmor or SELinux denied: sudo dmesg | tail'
                : containerOptions(facts),
          },
        ],
      },
    ],
    remedy: 'try it by hand: bwrap --unshare-user --disable-userns --ro-bind / / true',
  },
  nftables: {
    check: 'nftables ruleset',
    passed: 'loads in a namespace, with dynamic sets',
    optional: false,
    complaints: [
      {
        pattern: /JSON support not compiled/i,
        explain: (_, said) => [{ message: said, remedy: 'install an nft that is built with JSON support' }],
      },
    ],
    remedy: `sudo modprobe -a ${MODULES}`,
  },
  veth: {
    check: 'veth',
    passed: 'pairs can be made in a namespace',
    optional: false,
    complaints: [],
    remedy: 'sudo modprobe veth',
  },
  ipv6: {
    check: 'IPv6 in the namespace',
    passed: 'works',
    optional: true,
    complaints: [],
    remedy: 'none is needed: guests get IPv4 only; a kernel with IPv6 gives them both',
  },
} as const satisfies Readonly<Record<string, Trial>>;

export function judgeTrial(trial: Trial, attempt: Attempt, facts: NamespaceFacts): readonly Finding[] {
  if (succeeded(attempt)) return [ok(trial.check, trial.passed)];
  const said = excerpt(describeAttempt(attempt));
  const complaint = trial.complaints.find(({ pattern }) => pattern.test(said));
  const blockers = complaint?.explain(facts, said) ?? [
    { message: `does not work: ${said}`, remedy: trial.remedy },
  ];
  const judge = trial.optional ? warning : failed;
  return blockers.map(({ message, remedy }) => judge(trial.check, message, remedy));
}

/** Not a failure of its own: what it waits for has failed, and is told there. */
export function untried(trial: Trial, reason: string): Finding {
  return warning(trial.check, `not tried: ${reason}`, null);
}
