/**
 * Events as compact JSON and back: what events have in common stands once in tables, so that a page of twenty
 * thousand is read in small steps. Runs in Node and in the page. Pure.
 */
import type { PageClose, PageEvent } from './model.ts';

/** A piece of the list, whole in itself. */
export interface PackedEvents {
  readonly decisions: readonly Decision[];
  readonly parties: readonly Party[];
  readonly facts: readonly Fact[];
  readonly events: readonly PackedEvent[];
}

/** Who asked for what. */
type Party = Pick<PageEvent, 'host' | 'port' | 'process'>;
type Fact = PageEvent['facts'][number];
type Decision = Omit<PageEvent, keyof Party | 'facts' | 'seq' | 'timeMs' | 'text' | 'count' | 'close'>;

/** Places in the tables; sequence number, time, text, count, close. */
type PackedEvent = readonly [
  decision: number,
  party: number,
  facts: readonly number[],
  seq: number,
  timeMs: number,
  text: string,
  count: number,
  close: PackedClose | null,
];

/** Bytes out and in, milliseconds, reason, detail. */
type PackedClose = readonly [number, number, number, PageClose['reason'], PageClose['detail']];

export function packEvents(events: readonly PageEvent[]): PackedEvents {
  const decisions = new Table<Decision>();
  const parties = new Table<Party>();
  const pairs = new Table<Fact>();
  const packed = events.map((event): PackedEvent => {
    const { host, port, process, facts, seq, timeMs, text, count, close, ...decision } = event;
    return [
      decisions.place(decision),
      parties.place({ host, port, process }),
      facts.map((pair) => pairs.place(pair)),
      seq,
      timeMs,
      text,
      count,
      close === null ? null : packClose(close),
    ];
  });
  return { decisions: decisions.values, parties: parties.values, facts: pairs.values, events: packed };
}

export function unpackEvents({ decisions, parties, facts, events }: PackedEvents): readonly PageEvent[] {
  return events.flatMap(([at, who, pairs, seq, timeMs, text, count, close]) => {
    const decision = decisions[at];
    const party = parties[who];
    if (decision === undefined || party === undefined) return [];
    const told = pairs.flatMap((pair) => facts.slice(pair, pair + 1));
    const ended = close === null ? null : unpackClose(close);
    return [{ ...decision, ...party, facts: told, seq, timeMs, text, count, close: ended }];
  });
}

function packClose({ bytesOut, bytesIn, durationMs, reason, detail }: PageClose): PackedClose {
  return [bytesOut, bytesIn, durationMs, reason, detail];
}

function unpackClose([bytesOut, bytesIn, durationMs, reason, detail]: PackedClose): PageClose {
  return { bytesOut, bytesIn, durationMs, reason, detail };
}

class Table<T> {
  readonly values: T[] = [];
  readonly #places = new Map<string, number>();

  place(value: T): number {
    const key = JSON.stringify(value);
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.values.length);
    return this.values.push(value) - 1;
  }
}
