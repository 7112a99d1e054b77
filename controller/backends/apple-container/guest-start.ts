/**
 * Starts a guest: its sockets, its container, what it is given, and the start probes. Each step is looked at before the
 * next; nothing of the caller's runs before all of them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProbeResult } from '../../../audit/event.ts';
import { SandError } from '../../errors.ts';
import { type Arrivals, createArrivals } from '../../links/arrivals.ts';
import { isSynthetic, type ProbePlan, planProbes } from '../../links/probing.ts';
import { createRelayLink, type RelayLink } from '../../links/relay/link.ts';
import { judgeRelayReport, planAttempts } from '../../links/relay/probe-verdicts.ts';
import { type RelayArchitecture, readRelayFile } from '../../links/relay/relay-file.ts';
import {
  formatAttempts,
  parseProbe,
  parseReady,
  plantArguments,
  probeArguments,
  RELAY_PLACES,
  RELAY_PROXY,
  type RelayHold,
  type RelayMode,
  readyArguments,
  runArguments,
  serveArguments,
} from '../../links/relay/relay-program.ts';
import type { GatewayPort, GuestSpec, MountSpec } from '../backend.ts';
import { requirePassed } from '../probe-failure.ts';
import { stageFiles } from '../staged-files.ts';
import { NAMESERVER, planCreate, planStart, STAGED_FOLDER } from './argv.ts';
import { inspectContainer } from './command.ts';
import { judgeContainer } from './container-verdicts.ts';
import { placeAuthorities, placeSecrets } from './guest-files.ts';
import type { AppleGuestPlan } from './guest-plan.ts';
import { type AppleHandle, containerName } from './handle.ts';
import { callRelay } from './in-guest.ts';
import { runContainer, TOOL_LIMITS } from './tool.ts';
import { giveVolumes, prepareVolumes } from './volumes.ts';

export interface StartedGuest {
  readonly plan: AppleGuestPlan;
  readonly handle: AppleHandle;
  readonly link: RelayLink;
  readonly gateway: GatewayPort;
  readonly probes: ProbePlan;
  readonly confined: Promise<void>;
  /** From here on its end is meant. */
  ending: boolean;
}

/** What there is of a guest as soon as there is; of one that did not come up, who asked removes it. */
export interface StartSteps {
  opened(link: RelayLink): void;
  /** The container; of that name there was none before. */
  made(): void;
}

export async function startGuest(
  spec: GuestSpec,
  plan: AppleGuestPlan,
  gateway: GatewayPort,
  signal: AbortSignal,
  steps: StartSteps,
): Promise<StartedGuest> {
  const container = containerName(spec.name);
  const { folder } = spec.place;
  spec.place.note({ kind: 'folder', path: folder });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const arrivals = createArrivals(gateway, isProxy);
  const link = await createRelayLink(folder, {
    stream: arrivals.stream,
    dns: (socket, transport) => gateway.acceptDnsStream(socket, transport),
    lost: (error) => gateway.lost(error),
  });
  steps.opened(link);
  await prepareVolumes(spec.volumes ?? []);
  const staged = stagedFor(plan.files, folder);
  spec.place.note({ kind: 'guest', backend: 'apple-container', name: spec.name });
  await runContainer(
    planCreate({
      name: container,
      run: spec.name,
      image: plan.image,
      platform: plan.platform,
      programFolder: stageRelay(folder),
      proxySocket: link.proxySocket,
      dnsSocket: link.dnsSocket,
      mounts: [...plan.folders, ...staged.folders, ...plan.sockets],
      volumes: spec.volumes ?? [],
      cpus: spec.resources?.cpus == null ? null : Math.ceil(spec.resources.cpus),
      memoryMiB: spec.resources?.memoryMiB ?? null,
      readOnly: spec.readOnly ?? false,
      serve: serveArguments({ ports: gateway.ports, holds: holdsOf(plan, staged) }),
    }),
    TOOL_LIMITS.createMs,
    { signal },
  );
  steps.made();
  await requireAsPlanned(container, gateway);
  await runContainer(planStart(container), TOOL_LIMITS.startMs, { signal });
  const [mode] = await Promise.all([readyMode(container, signal), requireAsPlanned(container, gateway)]);
  if (mode === 'loopback') gateway.synthesizeInLoopback();
  const handle = { container, user: plan.user, environment: plan.environment, workdir: spec.workdir };
  const given = placeSecrets(container, spec.secrets ?? [], plan.user).then(() =>
    placeAuthorities(container, plan.authorities, plan.environment),
  );
  const probes = planProbes(gateway, NAMESERVER);
  const confined = Promise.all([confine(container, gateway, probes, mode, arrivals, signal), given]).then(
    () => giveVolumes(container, spec.volumes ?? [], plan.user),
  );
  confined.catch(() => {});
  gateway.onMorePorts(async (ports) => void (await callRelay({ container, words: plantArguments(ports) })));
  return { plan, handle, link, gateway, probes, confined, ending: false };
}

function isProxy({ address, port }: { readonly address: string; readonly port: number }): boolean {
  return address === RELAY_PROXY.address && port === RELAY_PROXY.port;
}

/** By the tool's own word; what it says before the boot and after are looked at alike. */
async function requireAsPlanned(container: string, gateway: GatewayPort): Promise<void> {
  const results = judgeContainer(await inspectContainer(container));
  for (const result of results) gateway.record(result);
  requirePassed(results);
}

async function readyMode(container: string, signal: AbortSignal): Promise<RelayMode> {
  const mode = parseReady(await callRelay({ container, words: readyArguments, signal }));
  if (mode !== null) return mode;
  throw new SandError(
    'link-failed',
    'the relay in the guest did not say how it carries the guest\u2019s connections',
    'run `sand doctor --backend apple-container`, and report this with its output',
  );
}

/** From the place of a command of root's, who can do most. */
async function confine(
  container: string,
  gateway: GatewayPort,
  plan: ProbePlan,
  mode: RelayMode,
  arrivals: Arrivals,
  signal: AbortSignal,
): Promise<void> {
  const words = runArguments({
    id: 'start-probes',
    user: '',
    workdir: '/',
    command: [RELAY_PLACES.program, ...probeArguments],
  });
  const input = formatAttempts(planAttempts(plan));
  const said = await callRelay({ container, words, input, signal });
  const results: readonly ProbeResult[] = judgeRelayReport(parseProbe(said), {
    plan,
    mode,
    greeting: gateway.probe.greeting,
    isSynthetic: mode === 'loopback' ? (address) => /^127\.1[89]\./.test(address) : isSynthetic,
  });
  for (const result of results) gateway.record(result);
  requirePassed(results);
  arrivals.open();
}

/** The very bytes whose digest was looked at, in a folder that the guest's machine sees nothing else of. */
function stageRelay(folder: string): string {
  const place = join(folder, 'program');
  mkdirSync(place, { mode: 0o755 });
  writeFileSync(join(place, 'sand-relay'), readRelayFile(relayArchitecture()).bytes, { mode: 0o555 });
  return place;
}

/** Of this host, which is that of its guests' machines. */
export function relayArchitecture(): RelayArchitecture {
  return process.arch === 'x64' ? 'x64' : 'arm64';
}

function holdsOf({ guards }: AppleGuestPlan, { placed }: Staged): readonly RelayHold[] {
  return [
    ...placed.map(({ source, target }) => ({ access: 'placed', source, path: target }) as const),
    ...guards.map(
      ({ target, writable }) => ({ access: writable ? 'held' : 'protected', path: target }) as const,
    ),
  ];
}

interface Staged {
  readonly folders: readonly MountSpec[];
  /** In the guest: from where a file is, to where it belongs. */
  readonly placed: readonly { readonly source: string; readonly target: string }[];
}

function stagedFor(files: readonly MountSpec[], folder: string): Staged {
  const staged = stageFiles(files, folder);
  return {
    folders: staged.map(({ name, source, writable }) => ({
      source,
      target: `${STAGED_FOLDER}/${name}`,
      writable,
    })),
    placed: staged.flatMap(({ name, files: of }) =>
      of.map((file) => ({ source: `${STAGED_FOLDER}/${name}/${file.name}`, target: file.target })),
    ),
  };
}
