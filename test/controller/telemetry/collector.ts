/** A collector's stand-in on 127.0.0.1: takes OTLP over HTTP as JSON, reads it whole, and answers as it is told. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { z } from 'zod';

const ATTRIBUTES = z.array(
  z.strictObject({
    key: z.string().min(1),
    value: z.union([
      z.strictObject({ stringValue: z.string() }),
      z.strictObject({ intValue: z.string().regex(/^-?\d+$/) }),
      z.strictObject({ doubleValue: z.number() }),
      z.strictObject({ boolValue: z.boolean() }),
      z.strictObject({
        arrayValue: z.strictObject({ values: z.array(z.strictObject({ stringValue: z.string() })) }),
      }),
    ]),
  }),
);
const NANOS = z.string().regex(/^\d{19}$/);
const RESOURCE = z.strictObject({ attributes: ATTRIBUTES });
const SCOPE = z.strictObject({ name: z.literal('sand'), version: z.string() });
const SPAN = z.strictObject({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  name: z.string().min(1),
  kind: z.union([z.literal(1), z.literal(3)]),
  startTimeUnixNano: NANOS,
  endTimeUnixNano: NANOS,
  attributes: ATTRIBUTES,
  status: z.strictObject({ code: z.literal(2).optional(), message: z.string().optional() }),
});
const POINT = { attributes: ATTRIBUTES, startTimeUnixNano: NANOS, timeUnixNano: NANOS };
const NUMBERS = z.array(z.strictObject({ ...POINT, asDouble: z.number() })).min(1);
const COUNTS = z.strictObject({
  ...POINT,
  count: z.string(),
  sum: z.number(),
  bucketCounts: z.array(z.string()),
  explicitBounds: z.array(z.number()),
});
const METRIC = z.strictObject({
  name: z.string().min(1),
  description: z.string(),
  gauge: z.strictObject({ dataPoints: NUMBERS }).optional(),
  sum: z
    .strictObject({ dataPoints: NUMBERS, aggregationTemporality: z.literal(2), isMonotonic: z.literal(true) })
    .optional(),
  histogram: z.strictObject({ dataPoints: z.array(COUNTS), aggregationTemporality: z.literal(2) }).optional(),
});
const TRACES = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: RESOURCE,
      scopeSpans: z.array(z.strictObject({ scope: SCOPE, spans: z.array(SPAN) })),
    }),
  ),
});
const METRICS = z.strictObject({
  resourceMetrics: z.array(
    z.strictObject({
      resource: RESOURCE,
      scopeMetrics: z.array(z.strictObject({ scope: SCOPE, metrics: z.array(METRIC) })),
    }),
  ),
});

export type CollectedSpan = z.infer<typeof SPAN>;
export type CollectedMetric = z.infer<typeof METRIC>;

export interface Collector {
  readonly url: string;
  readonly spans: CollectedSpan[];
  readonly metrics: CollectedMetric[];
  readonly resources: z.infer<typeof ATTRIBUTES>[];
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** What was not OTLP. */
  readonly faults: string[];
  close(): Promise<void>;
}

export async function startCollector(
  answer: (response: ServerResponse) => void = (response) => void response.end('{}'),
): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const metrics: CollectedMetric[] = [];
  const resources: Collector['resources'] = [];
  const requests: { path: string; headers: IncomingHttpHeaders }[] = [];
  const faults: string[] = [];
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? '', headers: request.headers });
    response.on('error', () => {});
    readText(request)
      .then((body) => {
        const value: unknown = JSON.parse(body);
        if (request.url === '/v1/traces') {
          for (const { resource, scopeSpans } of TRACES.parse(value).resourceSpans) {
            resources.push(resource.attributes);
            spans.push(...scopeSpans.flatMap((scope) => scope.spans));
          }
        } else {
          for (const { scopeMetrics } of METRICS.parse(value).resourceMetrics)
            metrics.push(...scopeMetrics.flatMap((scope) => scope.metrics));
        }
      })
      .catch((error: unknown) => faults.push(String(error)))
      .finally(() => answer(response));
  });
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const at = server.address();
  return {
    url: `http://127.0.0.1:${typeof at === 'object' ? at?.port : 0}`,
    spans,
    metrics,
    resources,
    requests,
    faults,
    async close() {
      server.closeAllConnections();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Attributes as a plain object, values as they are written. */
export function plain(attributes: CollectedSpan['attributes']): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
