import { describe, expect, test } from 'vitest';
import {
  parseTraceParent,
  readTelemetrySettings,
  wantsTelemetry,
} from '../../../controller/telemetry/settings.ts';

const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT';
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('OpenTelemetry\u2019s variables', () => {
  test('without an endpoint export nothing', () => {
    for (const environ of [{}, { [ENDPOINT]: ' ' }, { OTEL_SERVICE_NAME: 'x', TRACEPARENT: PARENT }]) {
      expect(wantsTelemetry(environ)).toBe(false);
      expect(readTelemetrySettings(environ)).toBeNull();
    }
  });

  test('name where spans and counters go, the common endpoint with the path of each', () => {
    const settings = readTelemetrySettings({ [ENDPOINT]: 'http://127.0.0.1:4318/base/' });
    expect(settings?.traces?.endpoint.href).toBe('http://127.0.0.1:4318/base/v1/traces');
    expect(settings?.metrics?.endpoint.href).toBe('http://127.0.0.1:4318/base/v1/metrics');
    expect(settings).toMatchObject({ resource: { 'service.name': 'sand' }, parent: null, problems: [] });
  });

  test('of one signal are taken as they are, and beat the common ones', () => {
    const settings = readTelemetrySettings({
      [ENDPOINT]: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:2/x',
      OTEL_EXPORTER_OTLP_HEADERS: 'a=common',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'authorization=Bearer%20t,b=c',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
      OTEL_METRICS_EXPORTER: 'none',
    });
    expect(settings?.traces).toMatchObject({
      headers: { authorization: 'Bearer t', b: 'c' },
      timeoutMs: 500,
    });
    expect(settings?.traces?.endpoint.href).toBe('http://127.0.0.1:2/x');
    expect(settings?.metrics).toBeNull();
  });

  test('name the service and its resource', () => {
    const settings = readTelemetrySettings({
      [ENDPOINT]: 'http://127.0.0.1:1',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=a,deployment.environment.name=ci%2Cx',
      OTEL_SERVICE_NAME: 'b',
    });
    expect(settings?.resource).toEqual({ 'service.name': 'b', 'deployment.environment.name': 'ci,x' });
  });

  test('switch it off', () => {
    expect(readTelemetrySettings({ [ENDPOINT]: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'TRUE' })).toBeNull();
    const none = { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' };
    expect(readTelemetrySettings({ [ENDPOINT]: 'http://127.0.0.1:1', ...none })).toBeNull();
  });

  test.each([
    { [ENDPOINT]: 'file:///etc/passwd' },
    { [ENDPOINT]: 'no address' },
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { OTEL_TRACES_EXPORTER: 'zipkin', OTEL_METRICS_EXPORTER: 'none' },
    { OTEL_EXPORTER_OTLP_HEADERS: 'a=b%0d%0ac' },
    { OTEL_EXPORTER_OTLP_TIMEOUT: 'soon' },
  ])('that cannot be used are told, and harm nothing: %j', (environ) => {
    const settings = readTelemetrySettings({ [ENDPOINT]: 'http://127.0.0.1:1', ...environ });
    expect(settings?.problems.length).toBeGreaterThan(0);
  });

  test('a problem shows no password of an endpoint', () => {
    const settings = readTelemetrySettings({ [ENDPOINT]: 'ftp://me:hunter2@127.0.0.1/' });
    expect(settings?.problems.join()).not.toContain('hunter2');
  });
});

describe('the caller\u2019s span', () => {
  test('is the parent', () => {
    expect(parseTraceParent(PARENT)).toEqual({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      isSampled: true,
    });
    expect(parseTraceParent(PARENT.replace(/01$/, '00'))?.isSampled).toBe(false);
    expect(parseTraceParent(`${PARENT.replace(/^00/, '01')}-later`)).not.toBeNull();
  });

  test.each([
    '',
    'x',
    PARENT.toUpperCase(),
    PARENT.replace(/^00/, 'ff'),
    `${PARENT}-x`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
  ])('is none that is not written as one: %j', (text) => {
    expect(parseTraceParent(text)).toBeNull();
  });
});
