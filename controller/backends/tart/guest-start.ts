/**
 * Starts a guest: its machine, its cable, what it is given, and the start probes. Each step is looked at before the next;
 * nothing of the caller's runs before all of them.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../../errors.ts';
import { type KeptCopies, keepCopies } from '../../guest/kept-copies.ts';
import { type Arrivals, createArrivals, type Destination } from '../../links/arrivals.ts';
import { CABLE, formatIpv4 } from '../../links/ethernet/addresses.ts';
import type { Cable } from '../../links/ethernet/cable.ts';
import { type CableSocket, listenForCable } from '../../links/ethernet/cable-socket.ts';
import { createEthernetLink, type EthernetLink } from '../../links/ethernet/link.ts';
import { type ProbePlan, planProbes } from '../../links/probing.ts';
import type { GatewayPort, GuestSpec } from '../backend.ts';
import { requirePassed } from '../probe-failure.ts';
import { stageFiles } from '../staged-files.ts';
import { agentOf } from './agent.ts';
import { planClone, planSet, type SharedFolder } from './argv.ts';
import { PROXY, type TartGuestPlan } from './guest-plan.ts';
import { parseProbe, probeScript } from './guest-probe.ts';
import { setUpScript } from './guest-scripts.ts';
import { machineName, type TartHandle } from './handle.ts';
import { type MachineProcess, startMachine, within } from './machine.ts';
import { requireFreeName, requireRoom, requireSystem } from './machines.ts';
import { judgeGuestReport } from './probe-verdicts.ts';
import { failSetUp } from './set-up-failure.ts';
import { askGuest, runTart, TOOL_LIMITS } from './tool.ts';

/** What of a guest has been made so far; each is ended by who asked for it, however far it came. */
export interface GuestParts {
  cableSocket: CableSocket | null;
  link: EthernetLink | null;
  machine: MachineProcess | null;
  copies: KeptCopies | null;
  /** Whether a machine of its name can be this guest's. */
  isNoted: boolean;
  /** From here on its end is meant. */
  isEnding: boolean;
}

export interface StartedGuest {
  readonly handle: TartHandle;
  readonly link: EthernetLink;
  readonly machine: MachineProcess;
  readonly gateway: GatewayPort;
  readonly probes: ProbePlan;
  readonly confined: Promise<void>;
}

/** The guest's own address and its gateway's, which is its resolver too. */
const OWN_ADDRESS = formatIpv4(CABLE.guest);
const GATEWAY = formatIpv4(CABLE.gateway);

export async function startGuest(
  spec: GuestSpec,
  plan: TartGuestPlan,
  gateway: GatewayPort,
  signal: AbortSignal,
  parts: GuestParts,
): Promise<StartedGuest> {
  const name = machineName(spec.name);
  const { folder, told = () => {} } = spec.place;
  await requireFreeName(name);
  spec.place.note({ kind: 'folder', path: folder });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  spec.place.note({ kind: 'guest', backend: 'tart', name: spec.name });
  parts.isNoted = true;
  told(`tart clones ${plan.image}`);
  await runTart(planClone(plan.image, name), TOOL_LIMITS.cloneMs, { signal });
  await runTart(planSet(name, plan.settings), TOOL_LIMITS.setMs, { signal });
  await requireRoom(name);
  const staged = stagedFor(plan, folder);
  parts.copies = keepCopies(plan.watched, join(folder, 'protected'));
  parts.cableSocket = await listenForCable(folder);
  const run = { name, shares: [...plan.folders, ...staged.folders], vnc: spec.screen?.isShown ?? false };
  told(`tart starts the machine ${name}`);
  const machine = await startMachine(run, folder, parts.cableSocket.path);
  parts.machine = machine;
  void machine.ended.then(() => {
    // Also one that ends well, as the tool calls it, has taken the guest away.
    if (!parts.isEnding) gateway.lost(machine.failure());
  });
  const cable = await orGone(connected(parts.cableSocket), machine, signal);
  const arrivals = createArrivals(gateway, isProxy);
  const link = createEthernetLink({
    cable,
    ports: gateway.ports,
    consumer: {
      stream: arrivals.stream,
      datagram: (socket) => gateway.acceptDnsDatagrams(socket),
      lost: (error) => {
        // A machine that ends takes its cable along, and says more of why.
        void within(machine.ended, TOOL_LIMITS.lastWordMs).then(() => {
          if (!parts.isEnding) gateway.lost(machine.hasEnded() ? machine.failure() : error);
        });
      },
    },
  });
  parts.link = link;
  gateway.onMorePorts(async (ports) => link.plant(ports));
  await orGone(agentOf(name, signal, told), machine, signal);
  told('the guest is up; it is set up and looked at from inside');
  const { system } = await requireSystem(name);
  const links = [...plan.links, ...staged.links];
  const proxy = { host: PROXY.address, port: PROXY.port };
  const script = setUpScript({ environment: plan.environment, files: plan.given, links, proxy });
  failSetUp(await orGone(askGuest(name, script, { signal }), machine, signal), system);
  const probes = planOwnProbes(gateway);
  const confined = orGone(confine(name, gateway, probes, arrivals, signal), machine, signal);
  confined.catch(() => {});
  return { handle: { machine: name, workdir: spec.workdir }, link, machine, gateway, probes, confined };
}

/** Both places where the proxy is found: the gateway's own is what the lease names. */
function isProxy({ address, port }: Destination): boolean {
  return port === PROXY.port && (address === PROXY.address || address === GATEWAY);
}

/** The machine's end, whatever else is waited for. */
async function orGone<Value>(
  awaited: Promise<Value>,
  machine: MachineProcess,
  signal: AbortSignal,
): Promise<Value> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const gone = machine.ended.then(() => {
    throw machine.failure();
  });
  for (const promise of [gone, awaited]) promise.catch(() => {});
  try {
    signal.throwIfAborted();
    return await Promise.race([awaited, gone, stopped]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function connected({ connected: cable }: CableSocket): Promise<Cable> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(noCable()), TOOL_LIMITS.cableMs);
  try {
    return await Promise.race([cable, late]);
  } finally {
    clearTimeout(timer);
  }
}

function noCable(): SandError {
  return new SandError(
    'link-failed',
    'the guest\u2019s machine came up without its cable: sand\u2019s own softnet did not answer',
    'run `sand doctor --backend tart`',
  );
}

interface Staged {
  readonly folders: readonly SharedFolder[];
  readonly links: TartGuestPlan['links'];
}

function stagedFor({ files }: TartGuestPlan, folder: string): Staged {
  const staged = stageFiles(files, folder);
  const shareOf = (name: string) => `sand-${name}`;
  return {
    folders: staged.map(({ name, source, writable }) => ({ name: shareOf(name), source, writable })),
    links: staged.flatMap(({ name, files: of }) =>
      of.map((file) => ({ share: `${shareOf(name)}/${file.name}`, target: file.target })),
    ),
  };
}

function planOwnProbes(gateway: GatewayPort): ProbePlan {
  const plan = planProbes(gateway, GATEWAY);
  return { ...plan, connect: [...plan.connect, PROXY] };
}

/** From the place of a command, before there is any. */
async function confine(
  machine: string,
  gateway: GatewayPort,
  plan: ProbePlan,
  arrivals: Arrivals,
  signal: AbortSignal,
): Promise<void> {
  const { exitCode, stdout } = await askGuest(machine, probeScript(plan, OWN_ADDRESS), { signal });
  signal.throwIfAborted();
  const { greeting } = gateway.probe;
  const seen = exitCode === 0 ? parseProbe(stdout) : null;
  const results = judgeGuestReport(seen, { plan, greeting, address: OWN_ADDRESS, proxy: PROXY });
  for (const result of results) gateway.record(result);
  requirePassed(results);
  arrivals.open();
}
