/**
 * OpenTelemetry's standard variables → where spans and counters go, under which resource. Decides what is exported at all; a
 * value that cannot be used is a problem that is told, never the end of a run. Pure.
 */

export type Environ = Readonly<Record<string, string | undefined>>;

export interface SignalSettings {
  readonly endpoint: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

export interface TelemetrySettings {
  /** Null: not exported. */
  readonly traces: SignalSettings | null;
  readonly metrics: SignalSettings | null;
  readonly resource: Readonly<Record<string, string>>;
  /** The caller's span (W3C Trace Context), whose child the run is. */
  readonly parent: TraceParent | null;
  readonly problems: readonly string[];
}

const PREFIX = 'OTEL_EXPORTER_OTLP_';
const DEFAULT_TIMEOUT_MS = 10_000;
/** Longer is no wait for an answer. */
const LONGEST_TIMEOUT_MS = 120_000;

/** Whether there is anything to read: a start without the variables reads no further. */
export function wantsTelemetry(environ: Environ): boolean {
  return ['ENDPOINT', 'TRACES_ENDPOINT', 'METRICS_ENDPOINT'].some((name) => isSet(environ[PREFIX + name]));
}

/** Null where nothing is to be exported. */
export function readTelemetrySettings(environ: Environ): TelemetrySettings | null {
  if (!wantsTelemetry(environ) || environ.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return null;
  const problems: string[] = [];
  const traces = readSignal(environ, 'TRACES', problems);
  const metrics = readSignal(environ, 'METRICS', problems);
  if (traces === null && metrics === null && problems.length === 0) return null;
  const resource = {
    ...readPairs(environ.OTEL_RESOURCE_ATTRIBUTES ?? '', 'OTEL_RESOURCE_ATTRIBUTES', problems),
    ...(isSet(environ.OTEL_SERVICE_NAME) ? { 'service.name': environ.OTEL_SERVICE_NAME } : {}),
  };
  return {
    traces,
    metrics,
    resource: { 'service.name': 'sand', ...resource },
    parent: parseTraceParent(environ.TRACEPARENT ?? ''),
    problems,
  };
}

/** W3C Trace Context, section 3.2; null for what is not one. */
export function parseTraceParent(text: string): TraceParent | null {
  const [, version, traceId = '', spanId = '', flags = ''] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(text.trim()) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && text.trim().length !== 55))
    return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

function readSignal(
  environ: Environ,
  signal: 'TRACES' | 'METRICS',
  problems: string[],
): SignalSettings | null {
  const exporter = environ[`OTEL_${signal}_EXPORTER`]?.trim() ?? '';
  if (exporter === 'none') return null;
  if (exporter !== '' && exporter !== 'otlp') {
    problems.push(`OTEL_${signal}_EXPORTER ${exporter}: only otlp and none are known`);
    return null;
  }
  const own = (name: string): string | undefined => {
    const value = environ[`${PREFIX}${signal}_${name}`];
    return isSet(value) ? value : undefined;
  };
  const either = (name: string): string | undefined => own(name) ?? environ[PREFIX + name];
  const protocol = either('PROTOCOL')?.trim() ?? '';
  // A receiver of OTLP over HTTP tells the two apart by the content type, at the same place.
  if (!['', 'http/json', 'http/protobuf'].includes(protocol)) {
    problems.push(`${PREFIX}PROTOCOL ${protocol}: only http/json is spoken, to a receiver of OTLP over HTTP`);
    return null;
  }
  const endpoint = readEndpoint(
    own('ENDPOINT'),
    environ[`${PREFIX}ENDPOINT`],
    signal.toLowerCase(),
    problems,
  );
  if (endpoint === null) return null;
  const headers = readPairs(either('HEADERS') ?? '', `${PREFIX}HEADERS`, problems);
  return { endpoint, headers, timeoutMs: readTimeout(either('TIMEOUT'), problems) };
}

/** A signal's own endpoint is taken as it is; the common one gets the signal's path. */
function readEndpoint(
  own: string | undefined,
  common: string | undefined,
  signal: string,
  problems: string[],
): URL | null {
  const text = own ?? common;
  if (!isSet(text)) return null;
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    // It may hold a password: it is named, not shown.
    problems.push(`${PREFIX}ENDPOINT: not an address with http:// or https://`);
    return null;
  }
  if (own === undefined) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/${signal}`;
  return url;
}

/** `key=value,key=value`, values percent-encoded (W3C Baggage). */
function readPairs(text: string, name: string, problems: string[]): Readonly<Record<string, string>> {
  const pairs: Record<string, string> = {};
  for (const part of text.split(',').filter((one) => one.trim() !== '')) {
    const at = part.indexOf('=');
    const key = part.slice(0, Math.max(0, at)).trim();
    const value = decode(part.slice(at + 1).trim());
    if (/^[\w.!#$%&'*+^`|~/-]+$/.test(key) && value !== null) pairs[key] = value;
    else problems.push(`${name}: a part of it is not KEY=VALUE`);
  }
  return pairs;
}

function decode(text: string): string | null {
  try {
    const value = decodeURIComponent(text);
    return /[\u0000-\u001f\u007f]/.test(value) ? null : value;
  } catch {
    return null;
  }
}

function readTimeout(text: string | undefined, problems: string[]): number {
  if (!isSet(text)) return DEFAULT_TIMEOUT_MS;
  const timeoutMs = Number(text);
  if (Number.isInteger(timeoutMs) && timeoutMs > 0) return Math.min(timeoutMs, LONGEST_TIMEOUT_MS);
  problems.push(`${PREFIX}TIMEOUT ${text}: not a number of milliseconds`);
  return DEFAULT_TIMEOUT_MS;
}

/** The standard takes an empty variable for one that is not set. */
function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== '';
}
