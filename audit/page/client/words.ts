/** How the page writes numbers, times and verdicts. Pure. */
import { VERDICT_TEXT } from '../../phrases.ts';
import type { Choice } from '../filter.ts';

export const CHOICE_TEXT: Readonly<Record<Choice, string>> = { ...VERDICT_TEXT, other: 'other' };

/** By hand: the first use of a browser's own formatter takes longer than all of these. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `20:15:00.123`, UTC. */
export function formatClock(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(11, 23);
}

/** `2026-11-21 20:15:00.123 UTC`. */
export function formatTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 23).replace('T', ' ')} UTC`;
}

export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${durationMs} ms`;
  const seconds = durationMs / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** As a person would type it; for reading. */
export function formatCommand(command: readonly string[]): string {
  return command
    .map((argument) =>
      /^[\w@%+=:,./[\]-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`,
    )
    .join(' ');
}
