/**
 * Holds what no rule decides until a person has answered: queues questions, joins requests that wait for the same
 * answer, and makes silence a no. Decides nothing that the policy decides; terminals and sockets bring the answers.
 */
import type { AuditEntry, ConsentAnswer } from '../../audit/event.ts';
import {
  type Asked,
  type AskForConsent,
  type Consent,
  consentFor,
  type HeldRequest,
  spokenAt,
} from '../../policies/consent.ts';
import type { IpAddress, PolicyInForce, Rule } from '../../policies/model.ts';
import { SandError } from '../errors.ts';
import { ASK_LIMITS, type AskLimits } from './limits.ts';
import type { AnswerKind, Question } from './question.ts';

export interface BrokerOptions {
  policy(): PolicyInForce;
  hostAddresses(): readonly IpAddress[];
  record(entry: AuditEntry): number;
  /** Adds a rule for the rest of the run, or of its phase: the digest that then decides, and what puts it in force. */
  grant(rule: Rule): { readonly digest: string; apply(): Promise<void> };
  /** Writes a rule into the policy file. Raises what keeps it from that; null: there is no such file. */
  readonly write: ((rule: Rule) => Promise<void>) | null;
  readonly file: string | null;
  /** What runs in the guest now, redacted. */
  command(): string;
  readonly limits?: AskLimits;
  /** Milliseconds that do not run backwards. */
  readonly now?: () => number;
}

interface Waiter {
  readonly consent: Consent;
  readonly settle: (asked: Asked) => void;
}

interface Held {
  readonly id: number;
  readonly key: string;
  readonly request: HeldRequest;
  readonly consent: Consent;
  readonly host: string;
  readonly sinceMs: number;
  readonly waiters: Set<Waiter>;
  readonly timer: NodeJS.Timeout;
  /** An answer is on its way into force. */
  isTaken: boolean;
}

const UNASKED: Asked = { kind: 'unasked' };

export class AskBroker {
  readonly #options: BrokerOptions;
  readonly #limits: AskLimits;
  readonly #now: () => number;
  readonly #questions = new Map<number, Held>();
  /** What is denied without asking, until when. */
  readonly #denied = new Map<string, number>();
  /** Names that were looked up, whose next connection somebody has said yes to, until when. */
  readonly #following = new Map<string, number>();
  readonly #last = new Map<string, { answer: AnswerKind; by: ConsentAnswer['by']; atMs: number }>();
  readonly #listeners = new Set<() => void>();
  #next = 1;
  #isClosed = false;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#limits = options.limits ?? ASK_LIMITS;
    this.#now = options.now ?? (() => performance.now());
  }

  /** For the proxy and the resolver. */
  readonly ask: AskForConsent = async (request, signal) => {
    if (this.#isClosed || signal.aborted) return UNASKED;
    const consent = consentFor(this.#options.policy(), request, this.#options.hostAddresses());
    if (consent === null) return UNASKED;
    const key = keyOf(request);
    if (this.#follows(request)) return { kind: 'consent', consent };
    if (this.#isDenied(key, request)) return { kind: 'refused', detail: 'asked before: denied' };
    const held = this.#find(key, request) ?? this.#hold(key, request, consent);
    // Fail closed: what finds no place in the queue is denied, and holds nothing up.
    if (held === null || this.#waiting() >= this.#limits.waiting) {
      return { kind: 'refused', detail: 'not asked: too many questions wait' };
    }
    return this.#wait(held, consent, signal);
  };

  /** In the order of asking. */
  questions(): readonly Question[] {
    return [...this.#questions.values()].filter(({ isTaken }) => !isTaken).map((held) => this.#show(held));
  }

  /** Called whenever `questions` may give something else. Gives what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Raises `question-missing`, and what keeps a line from being written: then the question still waits. */
  async answer(id: number, answer: AnswerKind, by: ConsentAnswer['by']): Promise<void> {
    const held = this.#questions.get(id);
    if (held === undefined || held.isTaken) throw missing(id);
    const { rule } = held.consent;
    if (answer === 'write' && this.#options.write === null) throw nowhere();
    held.isTaken = true;
    try {
      if (answer === 'write') await this.#options.write?.(rule);
      if (!this.#questions.has(id)) throw missing(id);
      const grant = answer === 'run' || answer === 'write' ? this.#options.grant(rule) : null;
      // On record before it has any effect; without a log, nothing is allowed.
      this.#record(held, answer, by, grant?.digest);
      await grant?.apply();
    } catch (error) {
      held.isTaken = false;
      // Its time may have run out meanwhile.
      if (this.#now() - held.sinceMs >= this.#limits.silenceMs) this.#silence(held);
      this.#changed();
      throw error;
    }
    this.#conclude(held, answer, by);
  }

  /** The policy has changed: what it decides by now is no question any more, and what somebody waits for is judged anew. */
  policyChanged(): void {
    for (const held of [...this.#questions.values()]) {
      const { request, isTaken } = held;
      if (isTaken || consentFor(this.#options.policy(), request, this.#options.hostAddresses()) !== null)
        continue;
      this.#remove(held, { kind: 'refused', detail: 'the policy has changed meanwhile' });
    }
  }

  /** A new phase: an answer that was given, or is asked for, in the one before does not count in it. */
  forget(): void {
    this.#following.clear();
    for (const held of [...this.#questions.values()])
      this.#remove(held, { kind: 'refused', detail: 'the phase of the policy has ended meanwhile' });
  }

  /** Every request that waits goes on unasked. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const held of [...this.#questions.values()]) this.#remove(held, UNASKED);
    this.#listeners.clear();
  }

  /** A request that waits for the same answer: for itself, or for the name that it was looked up by. */
  #find(key: string, request: HeldRequest): Held | null {
    for (const held of this.#questions.values()) {
      if (held.key === key || (isWeb(request) && held.key === nameKey(request))) return held;
    }
    return null;
  }

  #hold(key: string, request: HeldRequest, consent: Consent): Held | null {
    if (this.#questions.size >= this.#limits.questions) return null;
    const id = this.#next++;
    const { host } = request;
    const held: Held = {
      id,
      key,
      request,
      consent,
      host: host.kind === 'name' ? host.name : host.address,
      sinceMs: this.#now(),
      waiters: new Set(),
      timer: setTimeout(() => this.#silence(held), this.#limits.silenceMs),
      isTaken: false,
    };
    this.#questions.set(id, held);
    return held;
  }

  #wait(held: Held, consent: Consent, signal: AbortSignal): Promise<Asked> {
    return new Promise((resolve) => {
      const gone = () => {
        waiter.settle(UNASKED);
        // Nobody waits any more: there is nothing to ask.
        if (held.waiters.size === 0 && !held.isTaken) this.#remove(held, UNASKED);
      };
      const waiter: Waiter = {
        consent,
        settle: (asked) => {
          held.waiters.delete(waiter);
          signal.removeEventListener('abort', gone);
          resolve(asked);
        },
      };
      held.waiters.add(waiter);
      signal.addEventListener('abort', gone, { once: true });
      this.#changed();
    });
  }

  #silence(held: Held): void {
    if (held.isTaken) return;
    try {
      this.#record(held, 'deny', 'silence');
    } catch {
      // Fail closed: a no needs no record to be a no.
    }
    this.#conclude(held, 'deny', 'silence');
  }

  #conclude(held: Held, answer: AnswerKind, by: ConsentAnswer['by']): void {
    const { deniedMs, silentMs } = this.#limits;
    const detail = by === 'silence' ? 'asked: nobody answered' : `asked: ${answer}, by ${by}`;
    remember(this.#last, held.host, { answer, by, atMs: this.#now() }, this.#limits.hosts);
    const denied = answer === 'deny' || answer === 'never';
    if (denied) {
      const briefly = this.#now() + (by === 'silence' ? silentMs : deniedMs);
      const untilMs = answer === 'never' ? Number.POSITIVE_INFINITY : briefly;
      remember(this.#denied, held.key, untilMs, this.#limits.hosts);
    } else if (answer === 'once' && held.request.port === null) {
      remember(this.#following, held.host, this.#now() + this.#limits.followMs, this.#limits.hosts);
    }
    this.#remove(held, denied ? { kind: 'refused', detail } : null);
  }

  /** Null: each that waits gets its consent. */
  #remove(held: Held, asked: Asked | null): void {
    clearTimeout(held.timer);
    this.#questions.delete(held.id);
    for (const { settle, consent } of [...held.waiters]) settle(asked ?? { kind: 'consent', consent });
    this.#changed();
  }

  /** The connection that a name was looked up for, once; a name that is looked up again before it, as often as it likes. */
  #follows(request: HeldRequest): boolean {
    const { host, port } = request;
    if (host.kind !== 'name' || (port !== null && !isWeb(request))) return false;
    const untilMs = this.#following.get(host.name) ?? 0;
    if (untilMs <= this.#now()) return false;
    if (port !== null) this.#following.delete(host.name);
    return true;
  }

  #isDenied(key: string, request: HeldRequest): boolean {
    const keys = isWeb(request) ? [key, nameKey(request)] : [key];
    return keys.some((one) => (this.#denied.get(one) ?? 0) > this.#now());
  }

  #waiting(): number {
    let waiting = 0;
    for (const { waiters } of this.#questions.values()) waiting += waiters.size;
    return waiting;
  }

  #record(held: Held, answer: AnswerKind, by: ConsentAnswer['by'], digest?: string): void {
    const { request, host, consent, sinceMs, waiters } = held;
    const { port } = request;
    this.#options.record({
      kind: 'answer',
      host,
      port,
      protocol: port === null ? null : (request.protocol ?? spokenAt(port)),
      answer,
      by,
      rule: consent.rule.id,
      policy: digest ?? this.#options.policy().policy.digest,
      waiting: waiters.size,
      waitedMs: Math.round(this.#now() - sinceMs),
    });
  }

  #show(held: Held): Question {
    const { id, host, request, waiters, sinceMs } = held;
    const last = this.#last.get(host);
    const ago = (ms: number) => Math.max(0, Math.round((this.#now() - ms) / 1_000));
    return {
      id,
      host,
      port: request.port,
      protocol: request.port === null ? null : (request.protocol ?? spokenAt(request.port)),
      waiting: waiters.size,
      command: this.#options.command(),
      last: last === undefined ? null : { answer: last.answer, by: last.by, secondsAgo: ago(last.atMs) },
      secondsLeft: Math.max(0, Math.round((sinceMs + this.#limits.silenceMs - this.#now()) / 1_000)),
      file: this.#options.write === null ? null : this.#options.file,
    };
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The oldest goes where there are too many. */
function remember<T>(map: Map<string, T>, key: string, value: T, limit: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > limit && oldest !== undefined) map.delete(oldest);
}

/** One question for all that a single yes would cover. */
function keyOf(request: HeldRequest): string {
  const { host, port, protocol } = request;
  if (port === null) return nameKey(request);
  return `${host.kind === 'name' ? host.name : host.address} ${port} ${protocol ?? spokenAt(port)}`;
}

function nameKey({ host }: HeldRequest): string {
  return `${host.kind === 'name' ? host.name : host.address} name`;
}

/** What a yes to a name that was looked up covers as well. */
function isWeb({ port, protocol }: HeldRequest): boolean {
  if (port === 443) return protocol !== 'http' && protocol !== 'tcp';
  return port === 80 && protocol !== 'https' && protocol !== 'tcp';
}

function missing(id: number): SandError {
  return new SandError('question-missing', `question ${id} does not wait any more`, 'look at what waits now');
}

function nowhere(): SandError {
  return new SandError(
    'question-missing',
    'there is no policy file to write to',
    'answer otherwise, or start with --policy FILE',
  );
}
