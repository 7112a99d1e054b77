/**
 * One line of the log as text: entry → line, and line → event. Decides field order, lengths and escapes;
 * `log.ts` writes, `lines.ts` reads. Pure.
 */
import { hash } from 'node:crypto';
import { clipText, escapeJson } from './escape.ts';
import type { AuditEntry, AuditEvent } from './event.ts';
import { AUDIT_SCHEMA_VERSION } from './event.ts';
import { LINE_LIMITS } from './limits.ts';
import { redactCommand, redactField, redactText } from './redact.ts';
import { checkAuditEvent } from './schema.ts';

/** What the first line names as the line before it. */
export const FIRST_PREV = '0'.repeat(64);

/** What the log adds to an entry. */
export interface LineFrame {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  readonly guest: string;
  readonly prev: string;
}

export type LineProblem = 'torn' | 'too-long' | 'not-utf8' | 'not-json' | 'not-an-event' | 'newer-schema';

export type DecodedLine =
  | { readonly ok: true; readonly event: AuditEvent }
  | { readonly ok: false; readonly problem: LineProblem; readonly detail: string };

const TEXT_LIMITS: Readonly<Record<string, number>> = {
  path: LINE_LIMITS.path,
  file: LINE_LIMITS.file,
  workdir: LINE_LIMITS.file,
  id: LINE_LIMITS.ruleId,
  layers: LINE_LIMITS.layer,
};
const ITEM_LIMITS: Readonly<Record<string, number>> = { command: LINE_LIMITS.arguments };

/**
 * The line without its newline. `seq` and `time` come first for people, `prev` last for shells. Texts and
 * lists are cut to their limits; a command is redacted, a path loses its query, and every text loses what looks like a
 * secret here too, whatever the caller did, because a line can never be taken back.
 */
export function encodeLine(entry: AuditEntry, frame: LineFrame): string {
  const fields: Readonly<Record<string, unknown>> = { ...withoutSecrets(entry) };
  const event: Record<string, unknown> = {
    seq: frame.seq,
    time: new Date(frame.timeMs).toISOString(),
    guest: clipText(frame.guest, LINE_LIMITS.text),
    kind: entry.kind,
  };
  for (const key in fields) if (key !== 'kind') event[key] = clipped(key, fields[key]);
  event.prev = frame.prev;
  return escapeJson(JSON.stringify(event));
}

/** What the next line names as `prev`. */
export function hashLine(line: string | Uint8Array): string {
  return hash('sha256', line, 'hex');
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Survives any bytes. What is not exactly an event of a known kind is told, never guessed at. */
export function decodeLine(bytes: Uint8Array): DecodedLine {
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch {
    return { ok: false, problem: 'not-utf8', detail: 'the line is not UTF-8' };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, problem: 'not-json', detail: 'the line is not JSON' };
  }
  const newer = newerSchema(value);
  if (newer !== null) return { ok: false, problem: 'newer-schema', detail: newer };
  const checked = checkAuditEvent(value);
  return checked.ok ? checked : { ok: false, problem: 'not-an-event', detail: checked.detail };
}

function newerSchema(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('schema' in value)) return null;
  const { schema } = value;
  if (typeof schema !== 'number' || !(schema > AUDIT_SCHEMA_VERSION)) return null;
  return `the log has schema version ${schema}, this sand knows ${AUDIT_SCHEMA_VERSION}`;
}

function withoutSecrets(entry: AuditEntry): AuditEntry {
  if (entry.kind === 'run-start') {
    const { before } = entry;
    const command = redactCommand(entry.command);
    return { ...entry, command, ...(before === undefined ? {} : { before: before.map(redactText) }) };
  }
  if (entry.kind === 'exec') return { ...entry, command: redactCommand(entry.command) };
  if (entry.kind === 'connection' && entry.path !== undefined) {
    return { ...entry, path: entry.path.replace(/[?#].*$/su, '') };
  }
  return entry;
}

function clipped(key: string, value: unknown): unknown {
  if (typeof value === 'string') {
    const limit = TEXT_LIMITS[key] ?? LINE_LIMITS.text;
    // Cut after it is redacted, else the half of a token that is left is not known as one.
    return clipText(redactField(key, value.slice(0, 2 * limit)), limit);
  }
  if (Array.isArray(value)) return clippedList(key, value);
  if (typeof value !== 'object' || value === null) return value;
  const inner: Readonly<Record<string, unknown>> = { ...value };
  const kept: Record<string, unknown> = {};
  for (const name in inner) kept[name] = clipped(name, inner[name]);
  return kept;
}

function clippedList(key: string, list: readonly unknown[]): readonly unknown[] {
  const limit = ITEM_LIMITS[key] ?? LINE_LIMITS.items;
  if (list.length <= limit) return list.map((item) => clipped(key, item));
  const kept = list.slice(0, limit - 1).map((item) => clipped(key, item));
  return [...kept, `… and ${list.length - kept.length} more`];
}
