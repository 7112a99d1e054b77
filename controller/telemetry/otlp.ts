/** Spans and counters as OTLP's JSON (opentelemetry-proto, its JSON mapping: ids in hex, 64-bit numbers as text). Pure. */
import type { Labels, MetricFamily } from '../../audit/metrics.ts';

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly name: string;
  readonly kind: 'internal' | 'client';
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  /** Why it is an error; null: it is none. */
  readonly error: string | null;
}

export interface Origin {
  readonly resource: Attributes;
  readonly scope: { readonly name: string; readonly version: string };
}

const KINDS = { internal: 1, client: 3 } as const;
const STATUS_ERROR = 2;
const CUMULATIVE = 2;

export function encodeSpans(spans: readonly Span[], { resource, scope }: Origin): string {
  const encoded = spans.map((span) => ({
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId === null ? {} : { parentSpanId: span.parentSpanId }),
    name: span.name,
    kind: KINDS[span.kind],
    startTimeUnixNano: nanos(span.startMs),
    endTimeUnixNano: nanos(span.endMs),
    attributes: encodeAttributes(span.attributes),
    status: span.error === null ? {} : { code: STATUS_ERROR, message: span.error },
  }));
  const scopeSpans = [{ scope, spans: encoded }];
  return JSON.stringify({
    resourceSpans: [{ resource: { attributes: encodeAttributes(resource) }, scopeSpans }],
  });
}

/** `startMs`: since when the counts grow. */
export function encodeMetrics(
  families: readonly MetricFamily[],
  startMs: number,
  nowMs: number,
  { resource, scope }: Origin,
): string {
  const times = { startTimeUnixNano: nanos(startMs), timeUnixNano: nanos(nowMs) };
  const points = (family: MetricFamily) =>
    family.samples.map(({ labels, value }) => ({
      attributes: encodeAttributes(labels),
      ...times,
      asDouble: value,
    }));
  const metrics = families.flatMap((family): readonly object[] => {
    const named = { name: family.name, description: family.help };
    if (family.histogram !== undefined)
      return [{ ...named, histogram: encodeHistogram(family.histogram, times) }];
    const dataPoints = points(family);
    if (dataPoints.length === 0) return [];
    if (family.type === 'gauge') return [{ ...named, gauge: { dataPoints } }];
    return [{ ...named, sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true } }];
  });
  const scopeMetrics = [{ scope, metrics }];
  return JSON.stringify({
    resourceMetrics: [{ resource: { attributes: encodeAttributes(resource) }, scopeMetrics }],
  });
}

function encodeHistogram(
  { buckets, sum, count }: NonNullable<MetricFamily['histogram']>,
  times: Readonly<Record<string, string>>,
) {
  // Each bucket by itself here, where Prometheus adds them up.
  const upTo = [...buckets.map((bucket) => bucket.count), count];
  const bucketCounts = upTo.map((total, at) => String(total - (upTo[at - 1] ?? 0)));
  const explicitBounds = buckets.map(({ le }) => le);
  const dataPoints = [{ attributes: [], ...times, count: String(count), sum, bucketCounts, explicitBounds }];
  return { dataPoints, aggregationTemporality: CUMULATIVE };
}

function encodeAttributes(attributes: Attributes | Labels) {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: encodeValue(value) }));
}

function encodeValue(value: AttributeValue): unknown {
  if (typeof value === 'string') return { stringValue: value.toWellFormed() };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number')
    return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  return { arrayValue: { values: value.map((one) => ({ stringValue: one.toWellFormed() })) } };
}

/** Milliseconds to nanoseconds, which no number of JSON holds. */
function nanos(ms: number): string {
  return String(BigInt(Math.round(ms)) * 1_000_000n);
}
