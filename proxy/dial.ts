/**
 * Connects to the first of several vetted addresses that answers (RFC 8305, addresses only). Resolves nothing:
 * what it is given is what it dials.
 */
import { connect, isIP, type Socket } from 'node:net';
import type { IpAddress } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { ignore } from './guest.ts';
import { PROXY_BOUNDS } from './limits.ts';

export interface DialOptions {
  /** Delay before the next address is tried beside the ones under way. */
  readonly attemptDelayMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export type Dialled =
  | { readonly ok: true; readonly socket: Socket; readonly address: IpAddress }
  | { readonly ok: false; readonly reason: DialReason; readonly detail: string };

export type DialReason = Extract<Reason, 'upstream-refused' | 'upstream-timeout' | 'upstream-failed'>;

/** Never rejects. The socket is paused, half-open capable, and the caller's to close. */
export function dial(addresses: readonly IpAddress[], port: number, options: DialOptions): Promise<Dialled> {
  return new Promise((resolve) => new Race(addresses, port, options, resolve).start());
}

/** Families in turn, beginning with the first address's (RFC 8305 section 4), cut to the bound. */
export function orderAddresses(addresses: readonly IpAddress[]): IpAddress[] {
  const first = addresses.filter((address) => isIP(address) === isIP(addresses[0] ?? ''));
  const second = addresses.filter((address) => isIP(address) !== isIP(addresses[0] ?? ''));
  const ordered: IpAddress[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i += 1) {
    for (const list of [first, second]) {
      const address = list[i];
      if (address !== undefined) ordered.push(address);
    }
  }
  return ordered.slice(0, PROXY_BOUNDS.dialAttempts);
}

class Race {
  readonly #waiting: IpAddress[];
  readonly #port: number;
  readonly #options: DialOptions;
  readonly #resolve: (dialled: Dialled) => void;
  readonly #running = new Set<Socket>();
  #isOver = false;
  #failure: Extract<Dialled, { ok: false }> | null = null;
  #deadline: NodeJS.Timeout | null = null;
  #next: NodeJS.Timeout | null = null;

  constructor(
    addresses: readonly IpAddress[],
    port: number,
    options: DialOptions,
    resolve: (dialled: Dialled) => void,
  ) {
    this.#waiting = orderAddresses(addresses);
    this.#port = port;
    this.#options = options;
    this.#resolve = resolve;
  }

  start(): void {
    if (this.#options.signal.aborted) {
      this.#settle({ ok: false, reason: 'upstream-failed', detail: 'the guest has gone' });
      return;
    }
    this.#options.signal.addEventListener('abort', this.#abort, { once: true });
    this.#deadline = setTimeout(() => {
      this.#settle({ ok: false, reason: 'upstream-timeout', detail: 'no address answered in time' });
    }, this.#options.timeoutMs);
    this.#attempt();
  }

  #abort = (): void => {
    this.#settle({ ok: false, reason: 'upstream-failed', detail: 'the guest has gone' });
  };

  #attempt(): void {
    if (this.#next !== null) clearTimeout(this.#next);
    this.#next = null;
    const address = this.#waiting.shift();
    if (address === undefined) {
      if (this.#running.size === 0) this.#settle(this.#failure ?? noAddress());
      return;
    }
    // Fail closed: a name would be resolved again here, and what that gives nobody has vetted.
    if (isIP(address) === 0) {
      this.#attempt();
      return;
    }
    const socket = connect({ host: address, port: this.#port, allowHalfOpen: true, noDelay: true });
    this.#running.add(socket);
    const onError = (error: NodeJS.ErrnoException): void => {
      this.#running.delete(socket);
      this.#failure = classify(error, address);
      if (!this.#isOver) this.#attempt();
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      if (this.#isOver) return;
      socket.off('error', onError);
      socket.on('error', ignore);
      this.#running.delete(socket);
      this.#settle({ ok: true, socket, address });
    });
    if (this.#waiting.length > 0) {
      this.#next = setTimeout(() => this.#attempt(), this.#options.attemptDelayMs);
    }
  }

  #settle(dialled: Dialled): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    if (this.#next !== null) clearTimeout(this.#next);
    this.#options.signal.removeEventListener('abort', this.#abort);
    for (const loser of this.#running) {
      loser.on('error', ignore);
      loser.destroy();
    }
    this.#resolve(dialled);
  }
}

function noAddress(): Extract<Dialled, { ok: false }> {
  return { ok: false, reason: 'upstream-failed', detail: 'there is no address to dial' };
}

function classify(error: NodeJS.ErrnoException, address: IpAddress): Extract<Dialled, { ok: false }> {
  const detail = `${address}: ${error.code ?? 'failed'}`;
  switch (error.code) {
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return { ok: false, reason: 'upstream-refused', detail };
    case 'ETIMEDOUT':
      return { ok: false, reason: 'upstream-timeout', detail };
    default:
      return { ok: false, reason: 'upstream-failed', detail };
  }
}
