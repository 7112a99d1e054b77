/**
 * The apple-container backend: which guests there are, and what each step of the interface is made of. A guest is a
 * container of Apple's tool, a machine of its own without a network card; whoever created it destroys it.
 */
import { SandError } from '../../errors.ts';
import { compareWatched } from '../../guest/watched-files.ts';
import { withoutProbes } from '../../links/probing.ts';
import type { RelayLink } from '../../links/relay/link.ts';
import { parseTried, type RelayTriedList, triedArguments } from '../../links/relay/relay-program.ts';
import type {
  ExitStatus,
  GuestCommand,
  GuestRef,
  GuestSpec,
  RefusedDestination,
  SandboxBackend,
} from '../backend.ts';
import { planDelete, planStop, RUN_LABEL } from './argv.ts';
import { inspectContainer, runCommand } from './command.ts';
import { type AppleGuestPlan, planGuest } from './guest-plan.ts';
import { type StartedGuest, startGuest } from './guest-start.ts';
import { containerName, formatHandle, parseHandle } from './handle.ts';
import { askRelay } from './in-guest.ts';
import { requireTool } from './readiness.ts';
import { askContainer, failure, TOOL_LIMITS } from './tool.ts';
import { openWayIn } from './way-in.ts';

const DELETE_ATTEMPTS = 2;

interface AppleGuest {
  readonly ref: GuestRef;
  readonly spec: GuestSpec;
  readonly plan: AppleGuestPlan;
  /** Whether the tool is what it must be. */
  readonly tool: Promise<void>;
  link: RelayLink | null;
  /** Of this run for certain: the tool made it when it was told to. */
  container: 'none' | 'made' | 'deleted';
  started: StartedGuest | null;
  readonly running: Set<AbortController>;
}

export function createAppleContainerBackend(): SandboxBackend {
  const guests = new Map<string, AppleGuest>();
  const known = (ref: GuestRef): AppleGuest => {
    const guest = guests.get(ref.name);
    if (guest === undefined)
      throw new SandError('internal', `no guest ${ref.name}`, 'report this as a fault of sand');
    return guest;
  };
  return {
    name: 'apple-container',
    capabilities: {
      guestSystem: 'linux',
      link: 'relay',
      transparent: true,
      isolation: 'vm',
      confinement: 'enforced',
      terminal: true,
      // Behind a kernel of its own the guest's processes are nobody's business but that kernel's.
      processAttribution: [],
      publishedPorts: true,
      protection: 'held',
      screen: false,
      volumes: true,
    },
    async probe() {
      const { checkAppleContainer } = await import('./checks.ts');
      return checkAppleContainer();
    },
    async create(spec) {
      const ref = { name: spec.name };
      if (guests.has(spec.name)) return ref;
      const plan = planGuest(spec, process.env);
      // Asked beside what the gateway needs until it is there; `start` waits for it.
      const tool = requireTool();
      tool.catch(() => {});
      const before = { link: null, container: 'none', started: null } as const;
      guests.set(spec.name, { ref, spec, plan, tool, ...before, running: new Set() });
      return ref;
    },
    async start(ref, gateway, signal) {
      const guest = known(ref);
      await guest.tool;
      const started = await startGuest(guest.spec, guest.plan, gateway, signal, {
        opened(link) {
          guest.link = link;
        },
        made() {
          guest.container = 'made';
        },
      });
      guest.started = started;
      const { handle, confined } = started;
      if (gateway.publishedPorts.length > 0)
        gateway.onDial(openWayIn(handle.container, gateway.publishedPorts));
      return { ...ref, handle: formatHandle(handle), confined };
    },
    async exec(ref, command) {
      const guest = guests.get(ref.name);
      if (guest !== undefined) return execIn(guest, command);
      return runCommand(parseHandle(ref.handle ?? {}), Promise.resolve(), command, command.signal);
    },
    async inspect(ref) {
      const { started } = known(ref);
      if (started === null) return { running: false, details: {} };
      const { container } = started.handle;
      return { running: true, details: { container, image: started.plan.image } };
    },
    async stop(ref, graceMs) {
      const guest = known(ref);
      const { running, started } = guest;
      for (const command of running) command.abort();
      if (started === null) return [];
      started.ending = true;
      const { container } = started.handle;
      // What a guest that is gone has tried nobody knows any more.
      const tried = await askRelay({ container, words: triedArguments }).catch(() => null);
      // Without a grace, stopping is what deleting begins with.
      if (graceMs === 0) await deleteOwn(guest);
      // One that is gone cannot be stopped; whether it is, is seen when it is deleted.
      else await askContainer(planStop(container, graceMs), graceMs + TOOL_LIMITS.stopSlackMs);
      const seen = tried?.exitCode === 0 ? parseTried(tried.stdout) : null;
      started.gateway.refused(withoutProbes(seen === null ? [] : refusedOf(seen), started.probes));
      return compareWatched(started.plan.watched);
    },
    async destroy(ref) {
      const guest = guests.get(ref.name);
      guests.delete(ref.name);
      try {
        if (guest?.container === 'made') await deleteOwn(guest);
        else if (guest?.container !== 'deleted') await deleteContainer(ref.name);
      } finally {
        await guest?.link?.close();
      }
    },
    list: async () => [...guests.values()].map(({ ref }) => ref),
  };
}

async function execIn({ started, running }: AppleGuest, command: GuestCommand): Promise<ExitStatus> {
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

/** As the guest's own relay counted them. */
function refusedOf({ tried, others }: RelayTriedList): readonly RefusedDestination[] {
  const told = tried.map(({ protocol: transport, ...rest }) => ({ ...rest, transport }));
  const more = { transport: 'other', address: '0.0.0.0', port: 0, count: others } as const;
  return others === 0 ? told : [...told, more];
}

/** Written down, so that whoever clears up after the run does not ask for it again. */
async function deleteOwn(guest: AppleGuest): Promise<void> {
  const { name, place } = guest.spec;
  await deleteByName(containerName(name));
  guest.container = 'deleted';
  place.note({ kind: 'guest-gone', backend: 'apple-container', name });
}

/** Fail closed: nothing is deleted that does not bear the label of that very run. Idempotent. */
async function deleteContainer(run: string): Promise<void> {
  const container = containerName(run);
  const found = await inspectContainer(container).catch(unlessMissing);
  if (found === null) return;
  if (found.labels[RUN_LABEL] !== run) {
    throw new SandError(
      'teardown-failed',
      `the container ${container} is not of this run`,
      `look at it: container inspect ${container}`,
    );
  }
  await deleteByName(container);
}

/** Twice: the tool is slow to let go of a guest that has just ended. */
async function deleteByName(container: string): Promise<void> {
  const args = planDelete(container);
  for (let attempt = 1; ; attempt++) {
    const output = await askContainer(args, TOOL_LIMITS.stopSlackMs);
    if (output.exitCode === 0) return;
    if ((await inspectContainer(container).catch(unlessMissing)) === null) return;
    if (attempt === DELETE_ATTEMPTS) throw failure(args, output);
  }
}

/** The tool fails for a name that it does not know. */
function unlessMissing(error: unknown): null {
  if (error instanceof SandError && error.code === 'tool-failed') return null;
  throw error;
}
