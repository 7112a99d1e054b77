/** What was looked up beside what was connected to, host by host, in bounded memory. Pure. */
import type { ConnectionClose, ConnectionDecision, DnsDecision, UnplantedAttempt } from '../event.ts';
import { howOf, rowVerdict } from '../summary.ts';
import { PAGE_LIMITS } from './limits.ts';
import type { PageConnections, PageLookup, PageName } from './model.ts';

type Draft<T> = { -readonly [K in keyof T]: T[K] };

interface NameDraft {
  readonly lookups: Map<string, Draft<PageLookup>>;
  readonly connections: Map<string, Draft<PageConnections>>;
  more: number;
}

export class Names {
  readonly #names = new Map<string, NameDraft>();

  lookup(event: DnsDecision): void {
    const draft = this.#draft(event.name);
    if (draft === null) return;
    const { type, rcode, reason } = event;
    const key = `${type}\n${rcode}\n${reason}`;
    const known = draft.lookups.get(key);
    const count = event.count ?? 1;
    if (known === undefined) {
      const answers = (event.answer ?? []).slice(0, PAGE_LIMITS.answers);
      const lookup = { type, rcode, verdict: rowVerdict(event), reason, count, answers };
      keep(draft, draft.lookups, key, lookup);
      return;
    }
    known.count += count;
    const fresh = (event.answer ?? []).filter((address) => !known.answers.includes(address));
    if (fresh.length > 0) known.answers = [...known.answers, ...fresh].slice(0, PAGE_LIMITS.answers);
  }

  connection(event: ConnectionDecision): void {
    this.#connect(event.host, event.port, howOf(event), event, event.count ?? 1);
  }

  unplanted(event: UnplantedAttempt): void {
    this.#connect(event.host, event.port, event.transport, event, event.count);
  }

  closed(event: ConnectionDecision, close: ConnectionClose): void {
    const known = this.#names.get(event.host)?.connections.get(keyOf(event.port, howOf(event), event.reason));
    if (known === undefined) return;
    known.bytesOut += close.bytesOut;
    known.bytesIn += close.bytesIn;
  }

  /** Of these hosts, in this order; a host that found no place is left out. */
  names(hosts: Iterable<string>): readonly PageName[] {
    const found: PageName[] = [];
    for (const host of hosts) {
      const draft = this.#names.get(host);
      if (draft === undefined) continue;
      const { lookups, connections, more } = draft;
      found.push({ host, lookups: copies(lookups), connections: copies(connections), more });
    }
    return found;
  }

  #connect(
    host: string,
    port: number,
    how: string,
    event: ConnectionDecision | UnplantedAttempt,
    count: number,
  ): void {
    const draft = this.#draft(host);
    if (draft === null) return;
    const { reason } = event;
    const key = keyOf(port, how, reason);
    const known = draft.connections.get(key);
    if (known !== undefined) {
      known.count += count;
      return;
    }
    const verdict = rowVerdict(event);
    keep(draft, draft.connections, key, { port, how, verdict, reason, count, bytesOut: 0, bytesIn: 0 });
  }

  #draft(host: string): NameDraft | null {
    const known = this.#names.get(host);
    if (known !== undefined) return known;
    if (this.#names.size >= PAGE_LIMITS.names) return null;
    const draft: NameDraft = { lookups: new Map(), connections: new Map(), more: 0 };
    this.#names.set(host, draft);
    return draft;
  }
}

function keyOf(port: number, how: string, reason: string): string {
  return `${port}\n${how}\n${reason}`;
}

function keep<T>(draft: NameDraft, into: Map<string, T>, key: string, value: T): void {
  if (into.size >= PAGE_LIMITS.perName) draft.more += 1;
  else into.set(key, value);
}

function copies<T extends object>(drafts: ReadonlyMap<string, T>): readonly T[] {
  return [...drafts.values()].map((draft) => ({ ...draft }));
}
