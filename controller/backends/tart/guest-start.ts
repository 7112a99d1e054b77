/**
 * Starts a guest: its machine, its card, what it is given, and the start probes. Each step is looked at before the next;
 * nothing of the caller's runs before all of them.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { SandError } from '../../errors.ts';
import { type KeptCopies, keepCopies } from '../../guest/kept-copies.ts';
import type { GatewayPort, GuestSpec } from '../backend.ts';
import { requirePassed } from '../probe-failure.ts';
import { stageFiles } from '../staged-files.ts';
import { agentOf } from './agent.ts';
import { planClone, planSet, type SharedFolder } from './argv.ts';
import { layCable } from './cable-card.ts';
import { type GuestCard, type GuestWay, proxyUrl, type TartLink } from './guest-card.ts';
import type { TartGuestPlan } from './guest-plan.ts';
import { setUpScript } from './guest-scripts.ts';
import { machineName, type TartHandle } from './handle.ts';
import { type MachineProcess, startMachine, within } from './machine.ts';
import { requireFreeName, requireRoom, requireSystem } from './machines.ts';
import { failSetUp, findsNoResolver } from './set-up-failure.ts';
import { askGuest, runTart, TOOL_LIMITS } from './tool.ts';
import { layVmnet } from './vmnet-card.ts';

/** What of a guest has been made so far; each is ended by who asked for it, however far it came. */
export interface GuestParts {
  card: GuestCard | null;
  machine: MachineProcess | null;
  copies: KeptCopies | null;
  /** Whether a machine of its name can be this guest's. */
  isNoted: boolean;
  /** From here on its end is meant. */
  isEnding: boolean;
}

export interface StartedGuest {
  readonly handle: TartHandle;
  readonly way: GuestWay;
  readonly machine: MachineProcess;
  readonly gateway: GatewayPort;
  readonly confined: Promise<void>;
}

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
  const card = await layCard(plan.link, spec, gateway, parts);
  parts.card = card;
  const shares = [...plan.folders, ...staged.folders];
  const run = { name, shares, card: card.card, vnc: spec.screen?.isShown ?? false };
  told(`tart starts the machine ${name}`);
  const machine = await startMachine(run, folder, card.cableSocket);
  parts.machine = machine;
  void machine.ended.then(() => {
    // Also one that ends well, as the tool calls it, has taken the guest away.
    if (!parts.isEnding) gateway.lost(machine.failure());
  });
  await orGone(card.plug(), machine, signal);
  await orGone(agentOf(name, signal, told), machine, signal);
  told('the guest is up; it is set up and looked at from inside');
  const { system } = await requireSystem(name);
  const way = await orGone(card.reach(name, signal), machine, signal);
  const links = [...plan.links, ...staged.links];
  const { proxy, resolver } = way;
  const environment = plan.environment(proxyUrl(proxy));
  const script = setUpScript({ environment, files: plan.given, links, proxy, resolver });
  const said = await orGone(askGuest(name, script, { signal }), machine, signal);
  failSetUp(said, system);
  if (findsNoResolver(said)) gateway.record(NO_RESOLVER);
  const confined = orGone(confine(gateway, way, signal), machine, signal);
  confined.catch(() => {});
  return { handle: { machine: name, workdir: spec.workdir }, way, machine, gateway, confined };
}

async function layCard(
  link: TartLink,
  spec: GuestSpec,
  gateway: GatewayPort,
  parts: GuestParts,
): Promise<GuestCard> {
  if (link === 'ethernet') return layCable(spec.place.folder, gateway, lostCable(gateway, parts));
  return layVmnet({ kind: link, gateway, domains: spec.domains ?? [] });
}

/** A machine that ends takes its cable along, and says more of why. */
function lostCable(gateway: GatewayPort, parts: GuestParts): (error: SandError) => void {
  return (error) => {
    const { machine } = parts;
    const ended = machine === null ? Promise.resolve() : machine.ended;
    void within(ended, TOOL_LIMITS.lastWordMs).then(() => {
      if (!parts.isEnding) gateway.lost(machine?.hasEnded() ? machine.failure() : error);
    });
  };
}

/** Told, and no failure: by its proxy the guest asks nobody. */
const NO_RESOLVER = {
  kind: 'probe',
  name: 'in-reach',
  passed: true,
  detail:
    'the guest has no systemd-resolved that could be told a port: its programs ask the host\u2019s own resolver, past the gateway',
} as const;

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

/** From the place of a command, before there is any. */
async function confine(gateway: GatewayPort, way: GuestWay, signal: AbortSignal): Promise<void> {
  const results = await way.probe();
  signal.throwIfAborted();
  for (const result of results) gateway.record(result);
  requirePassed(results);
  way.open();
}
