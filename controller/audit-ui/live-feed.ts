/**
 * What a page that follows a run is sent: entries of the log from where the page is, and now and then new counts, as
 * Server-Sent Events whose ids are sequence numbers, so that a connection that is made again goes on without a loss or
 * a double. The log is the queue: a page that takes nothing costs what its socket holds.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { escapeJson } from '../../audit/escape.ts';
import type { AuditEvent, ConnectionDecision, InboundConnection } from '../../audit/event.ts';
import { followAuditLog } from '../../audit/follow.ts';
import { PageBuilder } from '../../audit/page/data.ts';
import { type EntryEvent, entryOf } from '../../audit/page/entry.ts';
import { PAGE_LIMITS } from '../../audit/page/limits.ts';
import type { PageEvent, PageSummary } from '../../audit/page/model.ts';
import { packEvents } from '../../audit/page/packing.ts';
import { chainOf } from '../../audit/page/read.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { verifyAuditLog } from '../../audit/verify.ts';
import { VERSION } from '../version.ts';
import { UI_LIMITS } from './limits.ts';

export interface FeedOptions {
  readonly run: RunPlace;
  /** The page has everything up to this line. */
  readonly after: number;
  readonly alive: () => boolean;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
}

/** Messages, each whole. Ends with `end` when no more will come. Rejects where the log cannot be read. */
export async function* feedRun({ run, after, alive, nowMs, signal }: FeedOptions): AsyncGenerator<string> {
  const builder = new PageBuilder({ sand: VERSION, madeAt: new Date(nowMs()).toISOString(), limit: 1 });
  builder.beginRun(run.id);
  const entries = new ChangedEntries();
  let seq = 0;
  let told = { atMs: Number.NEGATIVE_INFINITY, seq: after };
  let verifiedMs = Number.NEGATIVE_INFINITY;
  // What a page says of the chain is what a check of all of it found, and of as many lines as there were.
  const verify = async (): Promise<void> => {
    const found = await verifyAuditLog(run.auditPath, { signal, run: run.id });
    verifiedMs = nowMs();
    const isBeingWritten = !found.intact && found.problem === 'torn' && alive();
    builder.endRun(isBeingWritten ? { state: 'unsealed', events: found.line - 1 } : chainOf(found));
  };
  const summary = (): string => {
    told = { atMs: nowMs(), seq };
    return message('summary', countedSummary(builder.summary()), Math.max(seq, after));
  };
  const steps = followAuditLog(run.auditPath, { signal, alive });
  for await (const step of withTicks(steps, UI_LIMITS.summaryMs, signal)) {
    if (step === 'tick') {
      if (seq <= told.seq || nowMs() - told.atMs < UI_LIMITS.summaryMs) continue;
      if (nowMs() - verifiedMs >= UI_LIMITS.verifyMs) await verify();
      yield summary();
      continue;
    }
    if (step.kind === 'lines') {
      const changed: PageEvent[] = [];
      for (const line of step.lines) {
        if (!line.ok) {
          builder.addFault(line);
          continue;
        }
        builder.add(line.event);
        seq = line.event.seq;
        const entry = entries.take(line.event);
        if (entry !== null && seq > after) changed.push(entry);
      }
      for (const piece of pieces(changed)) yield message('entries', packEvents(piece), null);
      // Only now: a page that comes back from here has all of them.
      if (seq > after) yield message('at', { seq }, seq);
      continue;
    }
    if (step.kind === 'caught-up') {
      if (seq > told.seq) yield summary();
      continue;
    }
    await verify();
    yield summary();
    yield message('end', { why: step.kind }, null);
    return;
  }
}

/** The steps as they come, and between them a tick whenever so much time has passed. */
async function* withTicks<T>(
  steps: AsyncGenerator<T>,
  everyMs: number,
  signal: AbortSignal,
): AsyncGenerator<T | 'tick'> {
  let tickAt = performance.now() + everyMs;
  let next = steps.next();
  try {
    while (!signal.aborted) {
      const wait = new AbortController();
      const tick = delay(Math.max(0, tickAt - performance.now()), 'tick' as const, { signal: wait.signal });
      const first = await Promise.race([next, tick.catch(() => 'tick' as const)]);
      wait.abort();
      if (first === 'tick') {
        tickAt = performance.now() + everyMs;
        yield 'tick';
      } else if (first.done === true) return;
      else {
        yield first.value;
        next = steps.next();
      }
    }
  } finally {
    // A read that is under way ends with the signal, and then the log is closed; what goes wrong by then concerns nobody.
    next.catch(() => {});
    void steps.return(undefined).catch(() => {});
  }
}

/** Which entry an event makes or changes. */
class ChangedEntries {
  /** Connections until their close; the oldest goes where a cut log leaves too many. */
  readonly #open = new Map<number, EntryEvent & (ConnectionDecision | InboundConnection)>();

  take(event: AuditEvent): PageEvent | null {
    if (event.kind === 'close') {
      const opened = this.#open.get(event.connection);
      this.#open.delete(event.connection);
      return opened === undefined ? null : entryOf(opened, 0, event);
    }
    if ((event.kind === 'connection' || event.kind === 'inbound') && event.disposition === 'forwarded') {
      const [oldest] = this.#open.keys();
      if (this.#open.size >= PAGE_LIMITS.openConnections && oldest !== undefined) this.#open.delete(oldest);
      this.#open.set(event.connection, event);
    }
    return entryOf(event, 0);
  }
}

/** The builder keeps none of the events here; the page has as many as one that is loaded now. */
function countedSummary(summary: PageSummary): PageSummary {
  return { ...summary, shownEvents: Math.min(summary.totalEvents, PAGE_LIMITS.events) };
}

function* pieces(entries: readonly PageEvent[]): Generator<readonly PageEvent[]> {
  for (let at = 0; at < entries.length; at += UI_LIMITS.entries)
    yield entries.slice(at, at + UI_LIMITS.entries);
}

/** JSON has no line break of its own, and `escapeJson` none of a guest's: one field is one line. */
function message(event: 'entries' | 'at' | 'summary' | 'end', data: unknown, id: number | null): string {
  const line = id === null ? '' : `id: ${id}\n`;
  return `${line}event: ${event}\ndata: ${escapeJson(JSON.stringify(data))}\n\n`;
}
