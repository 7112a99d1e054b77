/**
 * A run as its caller describes it → the session that it will be: defaults, working directory, policy. The
 * command line and the library both come through here.
 */
import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { auditRoot } from '../../audit/runs.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import { observing } from '../../policies/learn/observing.ts';
import type { PolicyInForce } from '../../policies/model.ts';
import { phaseNames } from '../../policies/phase.ts';
import { DEFAULT_BACKEND, type GuestCommand, type Share } from '../backends/backend.ts';
import { createBackend } from '../backends/registry.ts';
import { readParentSettings } from '../gateway/parent-proxy.ts';
import { type GuestName, parseGuestName } from '../guests/name.ts';
import type { GuestRecord } from '../guests/registry.ts';
import type { AskFront } from './asking.ts';
import { readAuthority } from './authority.ts';
import { cacheFolder } from './cache.ts';
import { type MountFlag, parseUserFlag, usage } from './options.ts';
import { choosePolicy, configFolder, type PolicyChoice, type PolicyReread } from './policy-choice.ts';
import type { SessionRequest, SignalSource } from './session.ts';
import { planWorkspace, readOnly, workingFolder } from './workspace.ts';

export interface RunRequest {
  /** Program and arguments; never a shell's text. None only with `ready`: then the guest is held until somebody ends it. */
  readonly command: readonly string[];
  /** What to call the guest; null: by its run. */
  readonly name: string | null;
  /** Makes the guest one in the background, whose output is kept; told once commands can run in it. */
  readonly ready: ((guest: GuestRecord) => void) | null;
  /** Shell texts that run in the guest before it, each in a phase of the policy of its own. */
  readonly phaseAfter: readonly string[];
  /** Presets, `group:NAME` or files; none: the found `sand.policy.yaml`, else `strict`. */
  readonly policies: readonly string[];
  /** `HOST[:PORT]`, on top of the policies. */
  readonly allow: readonly string[];
  /** Whether what no rule allows passes and is recorded, to be learnt. */
  readonly learn: boolean;
  /** None: the working directory, writable. */
  readonly mounts: readonly MountFlag[];
  /** As the guest sees it; null: where `cwd` is mounted. */
  readonly workdir: string | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly shares: readonly Share[];
  /** Files with certificate authorities (PEM) that the guest's tools trust besides the system's. */
  readonly trustCa: readonly string[];
  /** Whether package caches are kept for the next run in this folder. */
  readonly cache: boolean;
  /** `UID[:GID]`, who the guest's processes are in its own eyes; null: the backend's choice. */
  readonly user: string | null;
  /** Whether the guest can write no folder of the host, whatever `mounts` says. */
  readonly readOnly: boolean;
  readonly timeoutMs: number | null;
  /** 0: any free one. */
  readonly dnsPort: number;
  /** None: the system's own. */
  readonly dnsUpstreams: readonly DnsUpstream[];
  /** `http://[USER:PASSWORD@]HOST:PORT`, `none`; null: what `environ` says. */
  readonly upstreamProxy: string | null;
  readonly backend: string;
  /** Asks people about what no rule decides; null: nobody is asked. */
  readonly ask: AskFront | null;
  readonly stdio: GuestCommand['stdio'];
  /** Called with what the command prints where `stdio` says `pipe`. */
  readonly output: NonNullable<GuestCommand['output']>;
  /** Whether a standard stream is a terminal. */
  readonly terminal: boolean;
  readonly signals: SignalSource;
  readonly cwd: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
  readonly told: (message: string) => void;
}

export const RUN_DEFAULTS = {
  name: null,
  ready: null,
  phaseAfter: [],
  ask: null,
  policies: [],
  allow: [],
  learn: false,
  mounts: [],
  workdir: null,
  environment: {},
  shares: [],
  trustCa: [],
  cache: false,
  user: null,
  readOnly: false,
  timeoutMs: null,
  dnsPort: 0,
  dnsUpstreams: [],
  upstreamProxy: null,
  backend: DEFAULT_BACKEND,
  stdio: ['ignore', 'inherit', 'inherit'],
  output: () => {},
  terminal: false,
  signals: { listen: () => () => {} },
  told: () => {},
} as const satisfies Partial<RunRequest>;

/** Raises every error of use, of policies and of the workspace; nothing has been made when it does. */
export async function planRun(
  asked: Pick<RunRequest, 'command'> & Partial<RunRequest>,
): Promise<SessionRequest> {
  const request: RunRequest = { ...RUN_DEFAULTS, cwd: workingFolder(), environ: process.env, ...asked };
  const { cwd, environ, told } = request;
  const home = environ.HOME ?? homedir();
  const command = checkCommand(request.command, request.ready !== null);
  if (request.readOnly && request.cache)
    throw usage(
      '--cache keeps what the guest writes, and with --read-only it writes nothing',
      'leave one out',
    );
  const own = [dirname(auditRoot(environ)), configFolder(environ, home)];
  const workspace = planWorkspace({ mounts: request.mounts, workdir: request.workdir, cwd, home, own });
  const choose = (policies: readonly string[], allows: readonly string[]) =>
    choosePolicy({ policies, allows, cwd, home, environ, told });
  const chosen = await choose(request.policies, request.allow);
  const { file, ...policy } = request.learn ? observed(chosen) : chosen;
  return {
    ...policy,
    ...(request.readOnly ? readOnly(workspace) : workspace),
    before: checkBefore(request.phaseAfter, policy.inForce),
    command,
    name: request.name === null ? null : checkName(request.name),
    ready: request.ready,
    choosePolicy: async (policies) => {
      const next = await choose(policies, []);
      return request.learn ? observed(next) : next;
    },
    backend: createBackend(request.backend),
    environment: request.environment,
    shares: request.shares,
    authorities: request.trustCa.map((path) => readAuthority(resolve(cwd, path))),
    cache: request.cache ? cacheFolder(environ, home, realpathSync(cwd)) : null,
    user: request.user === null ? null : parseUserFlag(request.user),
    timeoutMs: request.timeoutMs,
    dnsPort: request.dnsPort,
    dnsUpstreams: request.dnsUpstreams,
    parents: readParentSettings(request.upstreamProxy, environ),
    ask: request.ask === null ? null : { front: request.ask, file },
    stdio: request.stdio,
    output: request.output,
    terminal: request.terminal,
    signals: request.signals,
    environ,
    told,
  };
}

/** The same policy, then and whenever it is read again, with what it does not allow reported. */
function observed({ inForce, reread, ...choice }: PolicyChoice): PolicyChoice {
  const again = (): PolicyReread => {
    const read = reread?.() ?? { ok: false, problem: 'it is not read again' };
    return read.ok ? { ...read, inForce: observing(read.inForce) } : read;
  };
  return { ...choice, inForce: observing(inForce), reread: reread === null ? null : again };
}

function checkName(text: string): GuestName {
  const name = parseGuestName(text);
  if (name.ok) return name.value;
  throw usage(`--name ${text}: ${name.problem}`, 'write for example --name web-1');
}

function checkCommand(command: readonly string[], mayBeNone: boolean): readonly string[] {
  const [program] = command;
  if (program === undefined && mayBeNone) return command;
  if (program === undefined || program === '') {
    throw usage('no command to run', 'write sand run [FLAGS] -- CMD [ARG...]');
  }
  if (command.some((word) => word.includes('\0'))) throw usage('the command holds a NUL', 'leave it out');
  return command;
}

/** Each ends a phase, so there is one phase more than such commands at the least. */
function checkBefore(texts: readonly string[], { policy }: PolicyInForce): readonly string[] {
  const names = phaseNames(policy);
  if (texts.length > 0 && names.length <= texts.length) {
    const has = names.length === 0 ? 'no phases' : `the phases ${names.join(', ')}`;
    throw usage(
      `--phase-after is given ${texts.length} times, and the policy has ${has}`,
      `give it at most ${Math.max(0, names.length - 1)} times, or write phases into the policy`,
    );
  }
  if (texts.some((text) => text.trim() === '' || text.includes('\0')))
    throw usage('--phase-after without a command', "write for example --phase-after 'npm ci'");
  return texts;
}
