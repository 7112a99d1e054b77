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
import { confiningPolicy } from '../../policies/requirements.ts';
import {
  DEFAULT_BACKEND,
  DEFAULT_ISOLATION,
  type GuestCommand,
  type GuestVolume,
  type Isolation,
  type MountSpec,
  type SandboxBackend,
  type ScreenSpec,
  type Share,
} from '../backends/backend.ts';
import { createBackend, imagesOf } from '../backends/registry.ts';
import { SandError } from '../errors.ts';
import { readParentSettings } from '../gateway/parent-proxy.ts';
import { type GuestName, parseGuestName } from '../guests/name.ts';
import type { GuestRecord } from '../guests/registry.ts';
import type { ImagePlatform } from '../images/config.ts';
import { refuseImagePlace } from '../images/image-place.ts';
import type { BackendImages, BuildPlan, ImageFlag, PreparedImage } from '../images/prepared.ts';
import { planImageCommand } from '../images/run-words.ts';
import { type MetricsPlace, refuseGuestPlace } from '../metrics/place.ts';
import type { ProjectInForce } from '../project-file/open.ts';
import { NO_RESOURCES, type ResourceLimits } from '../resources/flags.ts';
import { planVolumes, type VolumeFlag } from '../volumes/volume-flag.ts';
import type { AskFront } from './asking.ts';
import { readAuditKey } from './audit-key.ts';
import { readAuthority } from './authority.ts';
import { cacheFolder } from './cache.ts';
import { writableFolders } from './guest-reach.ts';
import { type MountFlag, parseUserFlag, usage } from './options.ts';
import {
  ceilingPaths,
  choosePolicy,
  configFolder,
  type PolicyChoice,
  type PolicyNotice,
  type PolicyReread,
} from './policy-choice.ts';
import type { PortFlag } from './port-flag.ts';
import { describeReach } from './run-facts.ts';
import type { SecretFlag } from './secret-flag.ts';
import { readSecrets } from './secret-reading.ts';
import type { SessionRequest, SignalSource } from './session-request.ts';
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
  /** What `sand.yaml` these settings come from; null: none, and none is looked for here. */
  readonly project: ProjectInForce | null;
  /** Files that the guest must not write, besides those of the policy; they need not exist. */
  readonly guarded: readonly string[];
  /** `HOST[:PORT]`, on top of the policies. */
  readonly allow: readonly string[];
  /** Whether what no rule allows passes and is recorded, to be learnt. */
  readonly learn: boolean;
  /** None: the working directory, writable. */
  readonly mounts: readonly MountFlag[];
  /** What is kept for the next guest of the project, and where. */
  readonly volumes: readonly VolumeFlag[];
  /** As the guest sees it; null: where `cwd` is mounted. */
  readonly workdir: string | null;
  /** What `--image` names; null: the backend’s usual one, else the guest sees the host's system. */
  readonly image: string | null;
  /** Of the image; null: that of this host. */
  readonly platform: ImagePlatform | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly shares: readonly Share[];
  /** Files with certificate authorities (PEM) that the guest's tools trust besides the system's. */
  readonly trustCa: readonly string[];
  /** Whether package caches are kept for the next run in this folder. */
  readonly cache: boolean;
  readonly resources: ResourceLimits;
  /** `UID[:GID]`, who the guest's processes are in its own eyes; null: the backend's choice. */
  readonly user: string | null;
  /** Whether the guest can write no folder of the host, whatever `mounts` says. */
  readonly readOnly: boolean;
  /** Absent: as the image has it, and shown to nobody. */
  readonly screen?: ScreenSpec;
  /** The name of a link; absent: the backend's own. */
  readonly link?: string;
  readonly timeoutMs: number | null;
  /** 0: any free one. */
  readonly dnsPort: number;
  /** None: the system's own. */
  readonly dnsUpstreams: readonly DnsUpstream[];
  /** `http://[USER:PASSWORD@]HOST:PORT`, `none`; null: what `environ` says. */
  readonly upstreamProxy: string | null;
  /** Where the counters are served; null: only at the control socket. */
  readonly metrics: MetricsPlace | null;
  readonly backend: string;
  /** Ports of the guest that the host reaches. */
  readonly ports: readonly PortFlag[];
  /** Files for the guest that are in no environment, on no command line and in no log. */
  readonly secrets: readonly SecretFlag[];
  /** Where the key is that signs the log; null: nothing does. */
  readonly auditKey: SecretFlag['source'] | null;
  readonly isolation: Isolation;
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
  /** For what a person must see as it happens, as that something is fetched or built. */
  readonly say: (message: string) => void;
}

export const RUN_DEFAULTS = {
  name: null,
  ready: null,
  phaseAfter: [],
  ask: null,
  project: null,
  ports: [],
  secrets: [],
  auditKey: null,
  policies: [],
  guarded: [],
  allow: [],
  learn: false,
  mounts: [],
  volumes: [],
  workdir: null,
  image: null,
  platform: null,
  environment: {},
  shares: [],
  trustCa: [],
  cache: false,
  resources: NO_RESOURCES,
  user: null,
  readOnly: false,
  timeoutMs: null,
  dnsPort: 0,
  dnsUpstreams: [],
  upstreamProxy: null,
  metrics: null,
  backend: DEFAULT_BACKEND,
  isolation: DEFAULT_ISOLATION,
  stdio: ['ignore', 'inherit', 'inherit'],
  output: () => {},
  terminal: false,
  signals: { listen: () => () => {} },
  told: () => {},
  say: () => {},
} as const satisfies Partial<RunRequest>;

/** Raises every error of use, of policies and of the workspace; nothing has been made when it does. */
export async function planRun(
  asked: Pick<RunRequest, 'command'> & Partial<RunRequest>,
): Promise<SessionRequest> {
  const request: RunRequest = { ...RUN_DEFAULTS, cwd: workingFolder(), environ: process.env, ...asked };
  const { cwd, environ, told } = request;
  const home = environ.HOME ?? homedir();
  const images = await imagesOf(request.backend);
  const build = request.image === null ? (request.project?.build ?? null) : null;
  const named = request.image ?? images.usual;
  if (named === null && build === null) checkCommand(request.command, request.ready !== null);
  refuseKeeping(request);
  const caller = { cwd, environ, uid: process.getuid?.() ?? null };
  const own = [dirname(auditRoot(environ)), configFolder(environ, home)];
  const workspace = planWorkspace({ mounts: request.mounts, workdir: request.workdir, cwd, home, own });
  if (request.metrics !== null)
    refuseGuestPlace(
      request.metrics,
      workspace.mounts.map(({ source }) => source),
    );
  const mounts = request.readOnly ? readOnly(workspace).mounts : workspace.mounts;
  const cache = request.cache ? cacheFolder(environ, home, realpathSync.native(cwd)) : null;
  const volumes = planRunVolumes(request, workspace.mounts, home);
  const writable = writableFolders({ mounts, cache });
  const consented = request.project?.policies ?? null;
  const choose = (policies: readonly string[], allows: readonly string[]) =>
    choosePolicy({ policies, allows, cwd, home, environ, told, writable });
  const chosen = await choosePolicy({
    policies: request.policies,
    allows: request.allow,
    cwd,
    home,
    environ,
    told,
    writable,
    ...(consented === null ? {} : { consented }),
  });
  const image = await prepareRoot(images, { ...request, home }, named, build);
  if (image?.guest.kind === 'unpacked') refuseImagePlace(image.guest, workspace.mounts, [home, ...own]);
  const { file, ...policy } = request.learn ? observed(chosen) : chosen;
  const backend = createBackend(request.backend, request.link);
  tellReach(backend, policy.inForce, request.say);
  return {
    ...policy,
    notices: [...policy.notices, ...(await tellCuts(chosen.inForce, environ)), ...(image?.notices ?? [])],
    ...(file === null ? {} : { policyFile: file }),
    mounts,
    ...(volumes.length === 0 ? {} : { volumes }),
    readOnly: request.readOnly,
    ...(request.screen === undefined ? {} : { screen: request.screen }),
    ...(request.link === undefined ? {} : { link: request.link }),
    workdir: imageWorkdir(request, image) ?? workspace.workdir,
    ...(image === null ? {} : { image: image.guest }),
    before: checkBefore(request.phaseAfter, policy.inForce),
    ...(request.project === null ? {} : { projectFile: request.project.path }),
    guarded: [...request.guarded, ...(build === null ? [] : [build.path])],
    command: commandOf(request, image),
    name: request.name === null ? null : checkName(request.name),
    ready: request.ready,
    choosePolicy: async (policies) => {
      const next = await choose(policies, []);
      return request.learn ? observed(next) : next;
    },
    backend,
    isolation: request.isolation,
    environment: request.environment,
    shares: request.shares,
    authorities: request.trustCa.map((path) => readAuthority(resolve(cwd, path))),
    cache,
    resources: request.resources,
    ports: request.ports,
    secrets: readSecrets(request.secrets, caller),
    ...(request.auditKey === null
      ? {}
      : {
          auditKey: readAuditKey(
            request.auditKey,
            workspace.mounts.map(({ source }) => source),
            caller,
          ),
        }),
    user: request.user === null || image !== null ? null : parseUserFlag(request.user),
    timeoutMs: request.timeoutMs,
    dnsPort: request.dnsPort,
    dnsUpstreams: request.dnsUpstreams,
    parents: readParentSettings(request.upstreamProxy, environ),
    ...(request.metrics === null ? {} : { metrics: request.metrics }),
    ask: request.ask === null ? null : { front: request.ask, file },
    stdio: request.stdio,
    output: request.output,
    terminal: request.terminal,
    signals: request.signals,
    environ,
    told,
  };
}

/** Before anything of it runs, to whoever starts it; what is about to be refused is told with the refusal. */
function tellReach(backend: SandboxBackend, inForce: PolicyInForce, say: RunRequest['say']): void {
  const reach = describeReach(backend);
  if (reach !== null && confiningPolicy(inForce) === null) say(reach);
}

/** A Dockerfile stands before the backend's usual image. Raises every error of either. */
async function prepareRoot(
  images: BackendImages,
  request: Omit<ImageFlag, 'text'> & Pick<RunRequest, 'backend'>,
  named: string | null,
  build: BuildPlan | null,
): Promise<PreparedImage | null> {
  if (build === null) return named === null ? null : images.prepare({ ...request, text: named });
  if (images.build !== null) return images.build({ ...request, build, anew: false });
  throw new SandError(
    'backend-unavailable',
    `the ${request.backend} backend builds no image (${build.path})`,
    'build it by its own tool, outside the policy, and name it: podman build -t localhost/app ., then --image localhost/app',
  );
}

/** Raises `backend-unavailable`, `workspace-refused`. */
function planRunVolumes(
  request: RunRequest,
  mounts: readonly MountSpec[],
  home: string,
): readonly GuestVolume[] {
  const { cwd, project, volumes, backend } = request;
  if (volumes.length === 0) return [];
  if (!createBackend(backend).capabilities.volumes) {
    throw new SandError(
      'backend-unavailable',
      `the ${backend} backend keeps no volumes`,
      'leave out --volume, or mount a folder: --mount DIR:PATH',
    );
  }
  const flags = volumes.map((flag) => ({
    ...flag,
    folder: flag.folder === null ? null : realpathSync.native(flag.folder),
  }));
  return planVolumes(flags, {
    project: realpathSync.native(project === null ? cwd : dirname(project.path)),
    cwd: realpathSync.native(cwd),
    mounts,
    home,
  });
}

function refuseKeeping({ readOnly: isReadOnly, cache, volumes }: RunRequest): void {
  const [kept] = [...(cache ? ['--cache'] : []), ...(volumes.length > 0 ? ['--volume'] : [])];
  if (!isReadOnly || kept === undefined) return;
  throw usage(`${kept} keeps what the guest writes, and with --read-only it writes nothing`, 'leave one out');
}

/** Only a machine with a ceiling loads what compares policies. */
async function tellCuts(
  inForce: PolicyInForce,
  environ: RunRequest['environ'],
): Promise<readonly PolicyNotice[]> {
  if (inForce.ceilings.length === 0) return [];
  const { ceilingCuts, ceilingNotices } = await import('./ceiling-cuts.ts');
  return ceilingNotices(ceilingCuts(inForce, ceilingPaths(environ), Date.now()));
}

/** An image that the caller names may name one; a guest that stays needs none. */
function commandOf(request: RunRequest, image: PreparedImage | null): readonly string[] {
  const mayBeNone = request.ready !== null;
  if (image === null || request.image === null) return checkCommand(request.command, mayBeNone);
  return checkCommand(planImageCommand(image.config, request.command, mayBeNone), mayBeNone);
}

/** An image's own holds where the caller names none. */
function imageWorkdir({ workdir }: RunRequest, image: PreparedImage | null): string | null {
  return workdir === null ? (image?.config.workdir ?? null) : null;
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
    throw usage('no command to run', 'write sand run [FLAGS] -- CMD [ARG...], or give sand.yaml a command');
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
