import { afterEach, describe, expect, test } from 'vitest';
import type { AuditEntry, ConnectionDecision } from '../../../audit/event.ts';
import { Metrics } from '../../../audit/metrics.ts';
import {
  createTelemetry,
  type Telemetry,
  type TelemetryOptions,
} from '../../../controller/telemetry/exporter.ts';
import { readTelemetrySettings } from '../../../controller/telemetry/settings.ts';
import { type Collector, plain, startCollector } from './collector.ts';

const open: Collector[] = [];
afterEach(async () => {
  for (const collector of open.splice(0)) await collector.close();
});

async function collect(answer?: Parameters<typeof startCollector>[0]): Promise<Collector> {
  const collector = await startCollector(answer);
  open.push(collector);
  return collector;
}

function telemetry(
  environ: Readonly<Record<string, string>>,
  limits: NonNullable<TelemetryOptions['limits']> = {},
): Telemetry {
  const settings = readTelemetrySettings(environ);
  if (settings === null) throw new Error('nothing to export');
  const metrics = new Metrics(0, { version: '1', node: 'v24' });
  metrics.add(denied(1));
  return createTelemetry({
    settings,
    version: '1',
    families: () => metrics.families(1, { events: 1, bytes: 2 }),
    limits,
  });
}

const endpoint = ({ url }: Collector) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url });

function denied(connection: number): ConnectionDecision {
  return {
    kind: 'connection',
    connection,
    asker: 'guest',
    verdict: 'deny',
    reason: 'no-rule',
    disposition: 'refused',
    rule: null,
    policy: 'sha256:0',
    via: 'connect',
    host: 'denied.example',
    port: 443,
    protocol: null,
    process: { pid: 7, command: 'curl https://denied.example/' },
  };
}

const RUN: readonly AuditEntry[] = [
  {
    kind: 'run-start',
    schema: 1,
    run: 'r',
    sand: '1',
    node: 'v24',
    backend: 'linux',
    isolation: 'namespaces',
    confinement: 'enforced',
    command: ['true', '\ud800'],
    policy: { name: 'p', digest: 'd', mode: 'enforce', layers: [] },
    workdir: '/',
  },
  {
    ...denied(1),
    reason: 'allowed-by-rule',
    verdict: 'allow',
    disposition: 'forwarded',
    method: 'GET',
    path: '/x',
  },
  denied(2),
  { kind: 'exec', exec: 1, command: ['sh'] },
  { kind: 'close', connection: 1, host: 'h', port: 1, bytesOut: 3, bytesIn: 4, durationMs: 5, status: 200 },
  { kind: 'exec-end', exec: 1, exitCode: 3, durationMs: 5 },
  { kind: 'run-end', exitCode: 0, cause: 'exit', durationMs: 9, events: 6 },
];

describe('spans and counters', () => {
  test('arrive as OTLP, each the child of the run, and the run of its caller', async () => {
    const collector = await collect();
    const exporter = telemetry({
      ...endpoint(collector),
      OTEL_SERVICE_NAME: 'job',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20t',
      TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    RUN.forEach((entry, at) => {
      exporter.recorded(entry, 1_700_000_000_000 + at);
    });
    expect(await exporter.close()).toEqual([]);
    expect(collector.faults).toEqual([]);
    expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(
      new Set(['0af7651916cd43dd8448eb211c80319c']),
    );
    const run = collector.spans.find(({ name }) => name === 'sand run');
    expect(run?.parentSpanId).toBe('b7ad6b7169203331');
    expect(run?.status).toEqual({});
    for (const span of collector.spans) if (span !== run) expect(span.parentSpanId).toBe(run?.spanId);
    const refused = collector.spans.find(({ name }) => name === 'connect');
    expect(refused?.status).toEqual({ code: 2, message: 'no-rule' });
    expect(plain(refused?.attributes ?? [])).toMatchObject({
      'server.address': 'denied.example',
      'server.port': '443',
      'error.type': 'no-rule',
      'process.pid': '7',
      'sand.disposition': 'refused',
    });
    const got = collector.spans.find(({ name }) => name === 'GET');
    expect(plain(got?.attributes ?? [])).toMatchObject({
      'sand.bytes.in': '4',
      'http.response.status_code': '200',
    });
    expect(got?.startTimeUnixNano).toBe('1700000000001000000');
    expect(got?.endTimeUnixNano).toBe('1700000000004000000');
    expect(collector.spans.find(({ name }) => name === 'sand exec')?.status.code).toBe(2);
    expect(plain(collector.resources[0] ?? [])['service.name']).toBe('job');
    expect(collector.metrics.map(({ name }) => name)).toContain('sand_denied_total');
    for (const { headers } of collector.requests) expect(headers.authorization).toBe('Bearer t');
  });

  test('of a caller who samples nothing are not sent', async () => {
    const collector = await collect();
    const exporter = telemetry({
      ...endpoint(collector),
      TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00',
    });
    for (const entry of RUN) exporter.recorded(entry, 1);
    await exporter.close();
    expect(collector.requests.map(({ path }) => path)).toEqual(['/v1/metrics']);
  });
});

describe('a collector that is no good', () => {
  test('and not there loses spans, which is told', async () => {
    const exporter = telemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    for (const entry of RUN) exporter.recorded(entry, 1);
    expect((await exporter.close()).join('\n')).toMatch(/4 spans were not exported: .*ECONNREFUSED/);
  });

  test('and never answers keeps nobody beyond the flush', async () => {
    const collector = await collect(() => {});
    const exporter = telemetry(endpoint(collector), { flushMs: 100 });
    for (const entry of RUN) exporter.recorded(entry, 1);
    const startedAt = performance.now();
    const told = await exporter.close();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(told.join('\n')).toMatch(/spans were not exported/);
  });

  test('and redirects is not followed, nor given the headers again', async () => {
    const other = await collect();
    const collector = await collect((response) =>
      response.writeHead(307, { location: `${other.url}/v1/traces` }).end(),
    );
    const exporter = telemetry(endpoint(collector));
    for (const entry of RUN) exporter.recorded(entry, 1);
    expect((await exporter.close()).join('\n')).toMatch(
      /spans were not exported: the collector answered 307/,
    );
    expect(other.requests).toEqual([]);
  });

  test('and answers without end is not listened to', async () => {
    let sent = 0;
    const collector = await collect((response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024))) sent += 1;
      };
      response.on('drain', more);
      more();
    });
    const exporter = telemetry(endpoint(collector));
    for (const entry of RUN) exporter.recorded(entry, 1);
    expect(await exporter.close()).toEqual([]);
    expect(sent).toBeLessThan(1_000);
  });

  test('and says that it is busy gets a batch again, but never more than the queue holds', async () => {
    let busy = 2;
    const collector = await collect((response) => {
      busy -= 1;
      response.writeHead(busy >= 0 ? 503 : 200).end();
    });
    const exporter = telemetry(
      { ...endpoint(collector), OTEL_METRICS_EXPORTER: 'none' },
      { batch: 2, queued: 4 },
    );
    for (let at = 0; at < 20; at += 1) exporter.recorded(denied(at), 1);
    const told = await exporter.close();
    expect(told.join('\n')).toMatch(/\d+ spans were not exported/);
  });

  test('is told of what cannot be a setting, and the run goes on', async () => {
    const exporter = telemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: 'gopher://x' });
    for (const entry of RUN) exporter.recorded(entry, 1);
    expect((await exporter.close())[0]).toMatch(/not an address with http/);
  });
});
