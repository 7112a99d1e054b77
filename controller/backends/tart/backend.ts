/**
 * The tart backend: which guests there are, and what each step of the interface is made of. A guest is a clone of an image,
 * a machine of macOS or Linux whose one card is a cable into this process, or on a network of the host's where that is asked
 * for; whoever cloned it deletes it.
 */
import { SandError } from '../../errors.ts';
import type {
  Capabilities,
  ExitStatus,
  GuestCommand,
  GuestRef,
  GuestSpec,
  SandboxBackend,
} from '../backend.ts';
import { planDelete, planIp, planStop } from './argv.ts';
import { runCommand } from './command.ts';
import { TART_LINKS, type TartLink } from './guest-card.ts';
import { planGuest, type TartGuestPlan } from './guest-plan.ts';
import { SHUTDOWN_SCRIPT, SYNC_SCRIPT } from './guest-scripts.ts';
import { type GuestParts, type StartedGuest, startGuest } from './guest-start.ts';
import { formatHandle, machineName, parseHandle } from './handle.ts';
import { within } from './machine.ts';
import { parseAddress } from './parse.ts';
import { requireTool } from './readiness.ts';
import { NAT_REACH, stockReach } from './softnet-model.ts';
import { requireStockSoftnet } from './stock-softnet.ts';
import { askGuest, attemptTart, failure, NOT_SO, TOOL_LIMITS } from './tool.ts';
import { openWayIn } from './way-in.ts';

interface TartGuest {
  readonly ref: GuestRef;
  readonly spec: GuestSpec;
  readonly plan: TartGuestPlan;
  readonly parts: GuestParts;
  started: StartedGuest | null;
  readonly running: Set<AbortController>;
}

/** The power goes at once; the tool's own wait for it. */
const POWER_SECONDS = 5;
const SYNC_MS = 10_000;
/** A machine whose process was killed can count as running for a moment. */
const DELETE_ATTEMPTS = 5;
const DELETE_PAUSE_MS = 500;

/** What a guest has by its link, whose name may be one that this backend has not: then it is the usual one. */
type LinkCapabilities = Pick<Capabilities, 'link' | 'transparent' | 'confinement'>;

const LINKS: Readonly<Record<TartLink, LinkCapabilities>> = {
  ethernet: { link: 'ethernet', transparent: true, confinement: 'enforced' },
  softnet: { link: 'softnet', transparent: false, confinement: 'cooperative' },
  nat: { link: 'nat', transparent: false, confinement: 'cooperative' },
};

const REACH: Readonly<Record<TartLink, readonly string[]>> = {
  ethernet: [],
  softnet: stockReach(),
  nat: NAT_REACH,
};

export function createTartBackend(asked?: string): SandboxBackend {
  const link = TART_LINKS.find((one) => one === asked) ?? 'ethernet';
  const guests = new Map<string, TartGuest>();
  const known = (ref: GuestRef): TartGuest => {
    const guest = guests.get(ref.name);
    if (guest === undefined)
      throw new SandError('internal', `no guest ${ref.name}`, 'report this as a fault of sand');
    return guest;
  };
  return {
    name: 'tart',
    capabilities: {
      guestSystem: 'macos',
      ...LINKS[link],
      isolation: 'vm',
      terminal: true,
      // Behind a kernel of its own the guest's processes are nobody's business but that kernel's.
      processAttribution: [],
      publishedPorts: true,
      protection: 'restored',
      screen: true,
      volumes: false,
    },
    links: TART_LINKS,
    inReach: REACH[link],
    watchesOnly: link === 'nat',
    async probe() {
      const { checkTart } = await import('./checks.ts');
      return checkTart();
    },
    async create(spec) {
      const ref = { name: spec.name };
      if (guests.has(spec.name)) return ref;
      const plan = planGuest(spec, process.env, link);
      await requireTool();
      if (link === 'softnet') await requireStockSoftnet();
      guests.set(spec.name, { ref, spec, plan, parts: noParts(), started: null, running: new Set() });
      return ref;
    },
    async start(ref, gateway, signal) {
      const guest = known(ref);
      const started = await startGuest(guest.spec, guest.plan, gateway, signal, guest.parts);
      guest.started = started;
      const { handle, confined, way } = started;
      const ports = gateway.publishedPorts;
      if (ports.length > 0) gateway.onDial(openWayIn(way.openWayIn(ports), handle.machine, ports));
      return { ...ref, handle: formatHandle(handle), confined };
    },
    async exec(ref, command) {
      const guest = guests.get(ref.name);
      if (guest !== undefined) return execIn(guest, command);
      return runCommand(parseHandle(ref.handle ?? {}), Promise.resolve(), command, command.signal);
    },
    async inspect(ref) {
      const { started, plan } = known(ref);
      if (started === null || started.machine.hasEnded()) return { running: false, details: {} };
      const { machine } = started.handle;
      const { exitCode, stdout } = await attemptTart(planIp(machine), TOOL_LIMITS.queryMs);
      const address = exitCode === 0 ? parseAddress(stdout) : null;
      const screen = started.machine.screen();
      return {
        running: true,
        details: {
          machine,
          image: plan.image,
          ...(address === null ? {} : { address }),
          ...(screen === null ? {} : { screen }),
          link,
          ...started.way.details,
          ...(REACH[link].length === 0 ? {} : { inReach: REACH[link].join('; ') }),
        },
      };
    },
    async stop(ref, graceMs) {
      const guest = known(ref);
      const { running, started, parts } = guest;
      for (const command of running) command.abort();
      parts.isEnding = true;
      if (started === null) return [];
      await shutDown(started, graceMs);
      started.gateway.refused(started.way.tried());
      return [...started.way.observations(), ...(parts.copies?.restore() ?? [])];
    },
    async destroy(ref) {
      const guest = guests.get(ref.name);
      guests.delete(ref.name);
      if (guest !== undefined) guest.parts.isEnding = true;
      try {
        // Fail closed: one that was there before this guest is somebody else's.
        if (guest?.parts.isNoted !== false) await deleteMachine(machineName(ref.name));
      } finally {
        guest?.parts.machine?.kill();
        guest?.parts.card?.close();
        if (guest !== undefined) await undoUnstarted(guest.parts);
      }
    },
    list: async () => [...guests.values()].map(({ ref }) => ref),
  };
}

function noParts(): GuestParts {
  return { card: null, machine: null, copies: null, isNoted: false, isEnding: false };
}

async function execIn({ started, running }: TartGuest, command: GuestCommand): Promise<ExitStatus> {
  if (started === null)
    throw new SandError('internal', 'the guest was not started', 'report this as a fault of sand');
  const stopping = new AbortController();
  running.add(stopping);
  try {
    const signal = AbortSignal.any([command.signal, stopping.signal]);
    return await runCommand(started.handle, started.confined, command, signal);
  } finally {
    running.delete(stopping);
  }
}

/**
 * In time by the guest itself, else by its power, for which what it wrote to shares is first brought to the host. The tool's
 * own stop is the power alone.
 */
async function shutDown({ handle, machine }: StartedGuest, graceMs: number): Promise<void> {
  if (machine.hasEnded()) return;
  if (graceMs > 0) {
    // The answer is cut with the guest.
    void askGuest(handle.machine, SHUTDOWN_SCRIPT, { timeoutMs: graceMs }).catch(() => {});
    await within(machine.ended, graceMs);
  } else await askGuest(handle.machine, SYNC_SCRIPT, { timeoutMs: SYNC_MS }).catch(() => {});
  if (machine.hasEnded()) return;
  const limitMs = POWER_SECONDS * 1000 + TOOL_LIMITS.stopSlackMs;
  await attemptTart(planStop(handle.machine, POWER_SECONDS), limitMs);
  await within(machine.ended, TOOL_LIMITS.stopSlackMs);
}

/**
 * A machine that never became a guest may have written as well: no command of the caller's ran in it, but its image's did.
 * Raises `guest-failed` with what was put back.
 */
async function undoUnstarted({ machine, copies }: GuestParts): Promise<void> {
  if (machine === null || copies === null) return;
  await within(machine.ended, TOOL_LIMITS.stopSlackMs);
  const told = copies.restore();
  if (told.length === 0) return;
  throw new SandError(
    'guest-failed',
    told.map(({ detail }) => detail).join('; '),
    'look at what the image wrote there before you use the folder',
  );
}

/** Idempotent: one that is not there is deleted. The name is of sand's own making, for one run. */
async function deleteMachine(machine: string): Promise<void> {
  const args = planDelete(machine);
  for (let attempt = 1; ; attempt++) {
    const output = await attemptTart(args, TOOL_LIMITS.deleteMs);
    if (output.exitCode === 0 || output.exitCode === NOT_SO) return;
    if (attempt === DELETE_ATTEMPTS) throw failure(args, output);
    // One that runs is not deleted.
    await attemptTart(planStop(machine, POWER_SECONDS), POWER_SECONDS * 1000 + TOOL_LIMITS.stopSlackMs);
    await new Promise((resolve) => setTimeout(resolve, DELETE_PAUSE_MS));
  }
}
