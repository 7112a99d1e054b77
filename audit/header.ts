/** What stands above the table of a run: what ran, under which policy, how it ended. Pure. */

import { PLAIN, paint, type Terminal } from './columns.ts';
import { escapeTerminal } from './escape.ts';
import type { PhaseStart, RunEnd, RunStart } from './event.ts';

/** What is said of a log without a run-end. */
export const UNSEALED = 'it ended without its seal: the run still goes on, was killed, or the log was cut';

export interface RunHeader {
  readonly run: string;
  /** The first and last events; null where the log has none. */
  readonly start: (RunStart & { readonly time: string }) | null;
  readonly end: RunEnd | null;
  /** In order; absent: the guest was never moved on. */
  readonly begun?: readonly (PhaseStart & { readonly time: string })[];
}

/** Lines that end in newlines. */
export function formatRunHeader(header: RunHeader, terminal: Terminal = PLAIN): string {
  const { start, end } = header;
  const facts: (readonly [string, string])[] = [
    ['run', start === null ? header.run : `${header.run}, started ${start.time}`],
  ];
  if (start !== null) {
    const { policy } = start;
    const layers = policy.layers.length === 0 ? '' : `, layers: ${policy.layers.join(', ')}`;
    const phases =
      policy.phases === undefined ? [] : [['phases', describePhases(policy.phases, header)] as const];
    facts.push(
      ...(start.before ?? []).map((text) => ['before', text] as const),
      ['command', start.command.map(quoteArgument).join(' ')],
      ['in', start.workdir],
      ['policy', `${policy.name}, mode ${policy.mode}${layers}`],
      ['digest', policy.digest],
      ...phases,
      ['guest', `${start.backend} (${start.isolation}), confinement ${start.confinement}`],
    );
  }
  facts.push(['end', end === null ? UNSEALED : formatEnd(end)]);
  return facts
    .map(([name, value]) => {
      const label = name.padEnd(8);
      return `${terminal.colour ? paint('bold', label) : label}${escapeTerminal(value)}\n`;
    })
    .join('');
}

/** Every phase of the policy, with the time at which the guest came to it. */
function describePhases(names: readonly string[], { begun = [] }: RunHeader): string {
  return names
    .map((name, at) => {
      if (at === 0) return name;
      const since = begun.find(({ number }) => number === at + 1)?.time.slice(11, 23);
      return since === undefined ? `${name} (not reached)` : `${name} (from ${since})`;
    })
    .join(', ');
}

const CAUSE_TEXT: Readonly<Record<RunEnd['cause'], string>> = {
  exit: 'the command ended',
  signal: 'the command was ended by a signal',
  timeout: 'the time limit was reached',
  stop: 'the guest was stopped from the host',
  error: 'sand failed',
  probe: 'a start probe stopped it',
};

function formatEnd(end: RunEnd): string {
  return `exit code ${end.exitCode} after ${(end.durationMs / 1000).toFixed(1)} s (${CAUSE_TEXT[end.cause]})`;
}

/** As a person would type it; for reading, not for pasting into a shell. */
function quoteArgument(argument: string): string {
  return /^[\w@%+=:,./[\]-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}
