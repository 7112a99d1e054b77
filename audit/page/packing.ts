/**
 * Events as compact JSON and back: what repeats (rules, texts) stands once in a table, and absent fields are left out.
 * Runs in Node and in the page. Pure.
 */
import type { ProcessFact, RuleFact } from '../event.ts';
import type { PageClose, PageEvent } from './model.ts';

/** A piece of the list, whole in itself. */
export interface PackedEvents {
  readonly rules: readonly RuleFact[];
  readonly processes: readonly ProcessFact[];
  readonly facts: readonly Fact[];
  readonly events: readonly PackedEvent[];
}

type Fact = PageEvent['facts'][number];

type PackedEvent = Partial<Omit<PageEvent, 'rule' | 'process' | 'facts'>> & {
  readonly rule?: number;
  readonly process?: number;
  readonly facts?: readonly number[];
};

/** Fields of these values are left out. */
const EMPTY: Omit<PageEvent, 'run' | 'seq' | 'timeMs' | 'kind' | 'rule' | 'process' | 'facts'> = {
  verdict: null,
  muted: false,
  asker: null,
  host: '',
  port: null,
  how: '',
  text: '',
  reason: null,
  count: 1,
  detail: null,
  suggestion: null,
  close: null as PageClose | null,
};

export function packEvents(events: readonly PageEvent[]): PackedEvents {
  const rules = new Table<RuleFact>();
  const processes = new Table<ProcessFact>();
  const pairs = new Table<Fact>();
  const packed = events.map(({ rule, process, facts, ...event }): PackedEvent => {
    const kept = Object.entries(event).filter(([key, value]) => !isEmpty(key, value));
    return {
      ...Object.fromEntries(kept),
      ...(facts.length === 0 ? {} : { facts: facts.map((pair) => pairs.index(pair)) }),
      ...(rule === null ? {} : { rule: rules.index(rule) }),
      ...(process === null ? {} : { process: processes.index(process) }),
    };
  });
  return { rules: rules.values, processes: processes.values, facts: pairs.values, events: packed };
}

export function unpackEvents({ rules, processes, facts, events }: PackedEvents): readonly PageEvent[] {
  return events.map(({ rule, process, facts: pairs = [], ...event }) => ({
    run: 0,
    seq: 0,
    timeMs: 0,
    kind: 'notice' as const,
    ...EMPTY,
    ...event,
    rule: rule === undefined ? null : (rules[rule] ?? null),
    facts: pairs.flatMap((pair) => facts.slice(pair, pair + 1)),
    process: process === undefined ? null : (processes[process] ?? null),
  }));
}

function isEmpty(key: string, value: unknown): boolean {
  return Object.hasOwn(EMPTY, key) && EMPTY[key as keyof typeof EMPTY] === value;
}

class Table<T> {
  readonly values: T[] = [];
  readonly #places = new Map<string, number>();

  index(value: T): number {
    const key = JSON.stringify(value);
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.values.length);
    return this.values.push(value) - 1;
  }
}
