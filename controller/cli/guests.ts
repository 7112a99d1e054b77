/** `sand ls | stop | rm | prune | wait | logs`: the guests of this user, and what becomes of them. */
import { escapeTerminal } from '../../audit/escape.ts';
import { auditRoot, type Environment } from '../../audit/runs.ts';
import { padEnd } from '../../audit/width.ts';
import { askControl } from '../control/client.ts';
import { SandError } from '../errors.ts';
import { type GuestView, removeGuest, viewGuest, viewGuests } from '../guests/guests.ts';
import { readOutput } from '../guests/output.ts';
import { findGuest, type GuestRecord } from '../guests/registry.ts';
import { usage } from '../run/options.ts';
import { waitUntil } from './waiting.ts';

interface GuestContext {
  readonly env: Environment;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

/** How long past its grace a guest is waited for before that is an error. */
const STOP_MARGIN_MS = 30_000;

/** Those that run, start or are broken; with `all` also those that have ended and are not removed. */
export async function listGuestsCommand(context: GuestContext & { readonly all: boolean }): Promise<number> {
  const guests = viewGuests(auditRoot(context.env)).filter(
    ({ standing }) => context.all || standing !== 'ended',
  );
  if (context.json) context.write(`${JSON.stringify({ guests: guests.map(describe) })}\n`);
  else context.write(formatGuests(guests));
  return 0;
}

function describe({ record, standing, state }: GuestView) {
  return { name: record.name, run: record.run.id, standing, ...(state ?? {}) };
}

/** A table; a sentence where there is none. Pure. */
export function formatGuests(guests: readonly GuestView[]): string {
  if (guests.length === 0) return 'No guests. Start one with: sand run -d -- CMD\n';
  const rows = guests.map(({ record, standing, state }) => [
    record.name,
    state?.end === undefined ? standing : `ended (${state.end.exitCode})`,
    state?.backend ?? '-',
    state?.startedAt.replace('T', ' ').slice(0, 19) ?? '-',
    state === null || state.command.length === 0 ? '-' : escapeTerminal(state.command.join(' ')),
  ]);
  const table = [['NAME', 'STANDING', 'BACKEND', 'STARTED (UTC)', 'COMMAND'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table
    .map(
      (row) =>
        `${row
          .map((cell, at) => padEnd(cell, widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

export interface ChosenGuests extends GuestContext {
  readonly names: readonly string[];
}

/** SIGTERM, and SIGKILL after the grace; resolves when they have ended. */
export async function stopGuests(context: ChosenGuests & { readonly graceMs: number }): Promise<number> {
  const stopping = chosen(context).map(async (guest) => {
    await stopGuest(guest, context.graceMs);
    if (!context.json) context.write(`${guest.record.name}\n`);
  });
  // One that does not end keeps no other from it.
  for (const result of await Promise.allSettled(stopping))
    if (result.status === 'rejected') throw result.reason;
  if (context.json) context.write(`${JSON.stringify({ stopped: context.names })}\n`);
  return 0;
}

async function stopGuest({ record, standing }: GuestView, graceMs: number): Promise<void> {
  if (standing === 'ended') return;
  if (standing === 'broken')
    throw new SandError(
      'guest-ended',
      `the supervisor of ${record.name} was killed, and the guest with it`,
      'remove what is left of it: sand prune',
    );
  await askControl(record.run, { do: 'stop', graceMs }).catch((error: unknown) => {
    // It has ended meanwhile.
    if (!(error instanceof SandError && error.code === 'control-missing')) throw error;
  });
  const isOver = () => viewGuest(record).standing !== 'running' && viewGuest(record).standing !== 'starting';
  if (await waitUntil(isOver, graceMs + STOP_MARGIN_MS)) return;
  throw new SandError(
    'teardown-failed',
    `${record.name} has not ended`,
    'look at its supervisor (`sand inspect`) and end that process; its guest ends with it',
  );
}

/** Of guests that have ended or are broken, unless `force` ends them first. Their audit logs stay. */
export async function removeGuests(context: ChosenGuests & { readonly force: boolean }): Promise<number> {
  const guests = chosen(context);
  const isUp = ({ standing }: GuestView) => standing === 'running' || standing === 'starting';
  const running = guests.find(isUp);
  if (running !== undefined && !context.force)
    throw new SandError(
      'guest-running',
      `${running.record.name} runs`,
      `stop it first (sand stop ${running.record.name}), or write sand rm --force ${running.record.name}`,
    );
  for (const result of await Promise.allSettled(guests.filter(isUp).map((guest) => stopGuest(guest, 0))))
    if (result.status === 'rejected') throw result.reason;
  for (const guest of guests) {
    await remove(context, viewGuest(guest.record));
    if (!context.json) context.write(`${guest.record.name}\n`);
  }
  if (context.json) context.write(`${JSON.stringify({ removed: context.names })}\n`);
  return 0;
}

/** All that have ended or are broken. */
export async function pruneGuests(context: GuestContext): Promise<number> {
  const gone = viewGuests(auditRoot(context.env)).filter(
    ({ standing }) => standing === 'ended' || standing === 'broken',
  );
  for (const guest of gone) await remove(context, guest);
  const removed = gone.map(({ record, standing }) => ({ name: record.name, standing }));
  if (context.json) context.write(`${JSON.stringify({ removed })}\n`);
  else for (const { name, standing } of removed) context.write(`${name} (${standing})\n`);
  return 0;
}

async function remove({ env }: GuestContext, guest: GuestView): Promise<void> {
  const left = await removeGuest(auditRoot(env), guest);
  if (left.length === 0) return;
  throw new SandError(
    'teardown-failed',
    `something of ${guest.record.name} is left: ${left.join('; ')}`,
    'remove it, then run `sand prune` again',
  );
}

/** The guest's own exit code, once it has ended. */
export async function waitForGuest(context: ChosenGuests): Promise<number> {
  const [guest] = chosen(context);
  if (guest === undefined) throw usage('no guest is named', 'write sand wait GUEST');
  const { record } = guest;
  const isOver = () => {
    const { standing } = viewGuest(record);
    return standing === 'ended' || standing === 'broken';
  };
  await waitUntil(isOver, Number.POSITIVE_INFINITY);
  const { standing, state } = viewGuest(record);
  if (state?.end === undefined || standing === 'broken')
    throw new SandError(
      'guest-ended',
      `${record.name} was killed, and has no exit code`,
      'remove it: sand prune',
    );
  if (context.json) context.write(`${JSON.stringify({ guest: record.name, ...state.end })}\n`);
  return state.end.exitCode;
}

/** What the guest's own commands printed, each stream on its own. */
export async function showOutput(
  context: GuestContext & {
    readonly name: string;
    readonly follow: boolean;
    readonly out: (chunk: Buffer) => void;
    readonly err: (chunk: Buffer) => void;
  },
): Promise<number> {
  const { record, state } = viewGuest(recordOf(context.env, context.name));
  if (state !== null && !state.detached)
    throw usage(
      `${context.name} runs in the foreground: what it prints is on its own terminal`,
      'what sand decided is in the audit log: sand audit',
    );
  const follows = () => context.follow && isGoingOn(record);
  for await (const { time, stream, bytes } of readOutput(record.run, follows)) {
    if (context.json) context.write(`${JSON.stringify({ time, stream, text: bytes.toString('utf8') })}\n`);
    else (stream === 'stdout' ? context.out : context.err)(bytes);
  }
  return 0;
}

function isGoingOn(record: GuestRecord): boolean {
  const { standing } = viewGuest(record);
  return standing === 'running' || standing === 'starting';
}

function chosen({ names, env }: ChosenGuests): readonly GuestView[] {
  return names.map((name) => viewGuest(recordOf(env, name)));
}

function recordOf(env: Environment, name: string): GuestRecord {
  const record = findGuest(auditRoot(env), name);
  if (record !== null) return record;
  throw new SandError(
    'run-missing',
    `no guest is named ${escapeTerminal(name)}`,
    'list the guests with `sand ls --all`',
  );
}
