/**
 * Sends spans and counters to a collector, in batches, beside the run: bounded in what waits and how long, never followed by
 * a wait of the run but for the last moment, never its failure. What is lost is counted.
 */
import { randomBytes } from 'node:crypto';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { AuditEntry } from '../../audit/event.ts';
import type { MetricFamily } from '../../audit/metrics.ts';
import { encodeMetrics, encodeSpans, type Origin, type Span } from './otlp.ts';
import type { SignalSettings, TelemetrySettings } from './settings.ts';
import { createSpanSource } from './spans.ts';

export const TELEMETRY_LIMITS = {
  /** Spans that wait: what the standard's own batches hold. */
  queued: 2_048,
  batch: 512,
  batchMs: 5_000,
  /** How often counters are sent: the standard's own interval. */
  metricsMs: 60_000,
  /** What is left to the last batches when a run has ended: nobody waits longer for its exit code. */
  flushMs: 2_000,
} as const;

export interface Telemetry {
  /** What is on record, when. Never throws. */
  recorded(entry: AuditEntry, timeMs: number): void;
  /** Sends what is left, within `flushMs`; gives what is to be told of it. Never rejects. Idempotent. */
  close(): Promise<readonly string[]>;
}

export interface TelemetryOptions {
  readonly settings: TelemetrySettings;
  readonly version: string;
  readonly families: () => readonly MetricFamily[];
  readonly limits?: Partial<Record<keyof typeof TELEMETRY_LIMITS, number>>;
}

/** `again`: it may succeed later. */
type Sent = 'sent' | 'refused' | 'again';

export function createTelemetry(options: TelemetryOptions): Telemetry {
  return new Exporter(options);
}

class Exporter implements Telemetry {
  readonly #options: TelemetryOptions;
  readonly #limits: Readonly<Record<keyof typeof TELEMETRY_LIMITS, number>>;
  readonly #origin: Origin;
  readonly #startMs = Date.now();
  readonly #source: ReturnType<typeof createSpanSource>;
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #ending = new AbortController();
  #queue: Span[] = [];
  #sending: Promise<void> | null = null;
  #lost = 0;
  #failedMetrics = 0;
  #failure = '';
  #closed: Promise<readonly string[]> | null = null;

  constructor(options: TelemetryOptions) {
    const { settings, version } = options;
    this.#options = options;
    this.#limits = { ...TELEMETRY_LIMITS, ...options.limits };
    this.#origin = {
      resource: { 'telemetry.sdk.name': 'sand', ...settings.resource },
      scope: { name: 'sand', version },
    };
    this.#source = createSpanSource(settings.parent, (characters) =>
      randomBytes(characters / 2).toString('hex'),
    );
    this.#timers = [
      setInterval(() => this.#sendSpans(), this.#limits.batchMs),
      setInterval(() => void this.#sendMetrics(this.#ending.signal), this.#limits.metricsMs),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  recorded(entry: AuditEntry, timeMs: number): void {
    const { traces, parent } = this.#options.settings;
    // A caller who does not sample its own trace wants none of ours.
    if (traces === null || parent?.isSampled === false) return;
    for (const span of this.#source.add(entry, timeMs)) {
      if (this.#queue.length >= this.#limits.queued) this.#lost += 1;
      else this.#queue.push(span);
    }
    if (this.#queue.length >= this.#limits.batch && this.#closed === null) this.#sendSpans();
  }

  close(): Promise<readonly string[]> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  async #finish(): Promise<readonly string[]> {
    for (const timer of this.#timers) clearInterval(timer);
    const deadline = setTimeout(() => this.#ending.abort(), this.#limits.flushMs);
    try {
      await Promise.all([this.#flushSpans(), this.#sendMetrics(this.#ending.signal)]);
    } finally {
      clearTimeout(deadline);
      this.#ending.abort();
    }
    const lost = this.#lost + this.#queue.length;
    const { problems } = this.#options.settings;
    const why = this.#failure === '' ? '' : `: ${this.#failure}`;
    return [
      ...problems.map((problem) => `telemetry: ${problem}`),
      ...(lost === 0 ? [] : [`telemetry: ${lost} span${lost === 1 ? ' was' : 's were'} not exported${why}`]),
      ...(this.#failedMetrics === 0
        ? []
        : [`telemetry: counters were not exported ${this.#failedMetrics} times${why}`]),
    ];
  }

  async #flushSpans(): Promise<void> {
    await this.#sending;
    while (this.#queue.length > 0 && !this.#ending.signal.aborted) {
      const before = this.#queue.length;
      this.#sendSpans();
      await this.#sending;
      // What could be tried again later has no later.
      if (this.#queue.length >= before) return;
    }
  }

  /** One batch at a time: a collector that is slow gets no second one beside it. */
  #sendSpans(): void {
    const { traces } = this.#options.settings;
    if (traces === null || this.#sending !== null || this.#queue.length === 0) return;
    const batch = this.#queue.splice(0, this.#limits.batch);
    this.#sending = this.#send(traces, encodeSpans(batch, this.#origin), this.#ending.signal).then((sent) => {
      this.#sending = null;
      if (sent === 'refused') this.#lost += batch.length;
      if (sent === 'again') this.#putBack(batch);
    });
  }

  #putBack(batch: readonly Span[]): void {
    const room = Math.max(0, this.#limits.queued - this.#queue.length);
    this.#lost += Math.max(0, batch.length - room);
    this.#queue = [...batch.slice(0, room), ...this.#queue];
  }

  async #sendMetrics(signal: AbortSignal): Promise<void> {
    const { metrics } = this.#options.settings;
    if (metrics === null) return;
    const body = encodeMetrics(this.#options.families(), this.#startMs, Date.now(), this.#origin);
    if ((await this.#send(metrics, body, signal)) !== 'sent') this.#failedMetrics += 1;
  }

  async #send(settings: SignalSettings, body: string, signal: AbortSignal): Promise<Sent> {
    try {
      const status = await post(settings, body, signal);
      if (status >= 200 && status < 300) return 'sent';
      this.#failure = `the collector answered ${status}`;
      return [429, 502, 503, 504].includes(status) ? 'again' : 'refused';
    } catch (error) {
      this.#failure = signal.aborted ? 'the collector did not answer in time' : messageOf(error);
      return 'again';
    }
  }
}

/** Gives the status. Follows nowhere, since headers can be a secret, and reads nothing of the answer but its head. */
function post(
  { endpoint, headers, timeoutMs }: SignalSettings,
  body: string,
  signal: AbortSignal,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const send = endpoint.protocol === 'https:' ? requestHttps : requestHttp;
  const bytes = Buffer.from(body);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const request = send(
    endpoint,
    {
      method: 'POST',
      agent: false,
      signal: limit,
      headers: { ...headers, 'content-type': 'application/json', 'content-length': String(bytes.length) },
    },
    (response: IncomingMessage) => {
      response.on('error', () => {});
      response.destroy();
      resolve(response.statusCode ?? 0);
    },
  );
  request.on('error', (error) =>
    reject(limit.aborted && !signal.aborted ? new Error('no answer in time') : error),
  );
  request.end(bytes);
  return promise;
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return messageOf(error.errors[0]);
  return error instanceof Error ? error.message : 'unknown';
}
