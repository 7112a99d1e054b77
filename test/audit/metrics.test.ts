import { describe, expect, test } from 'vitest';
import type { AuditEntry, ConnectionDecision, DnsDecision } from '../../audit/event.ts';
import { METRICS_LIMITS } from '../../audit/limits.ts';
import { Metrics } from '../../audit/metrics.ts';
import { formatMetrics } from '../../audit/metrics-text.ts';

const DENIED: ConnectionDecision = {
  kind: 'connection',
  connection: 1,
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
};
const ALLOWED: ConnectionDecision = {
  ...DENIED,
  verdict: 'allow',
  reason: 'allowed-by-rule',
  disposition: 'forwarded',
};
const QUESTION: DnsDecision = {
  ...DENIED,
  kind: 'dns',
  disposition: 'answered',
  transport: 'udp',
  name: 'denied.example',
  type: 'A',
  rcode: 'NXDOMAIN',
};

function text(entries: readonly AuditEntry[]): string {
  const metrics = new Metrics(1_000, { version: '1', node: 'v24' });
  for (const entry of entries) metrics.add(entry);
  return formatMetrics(metrics.families(3_500, { events: 7, bytes: 700 }));
}

/** As a scraper reads it: series and value. Throws for a line that is none. */
function parse(exposition: string): ReadonlyMap<string, number> {
  const series = new Map<string, number>();
  expect(exposition.endsWith('\n')).toBe(true);
  for (const line of exposition.slice(0, -1).split('\n')) {
    if (/^# (HELP|TYPE) sand_[a-z_]+ .+$/.test(line)) continue;
    const match =
      /^(sand_[a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})?) (-?[\d.]+(?:e[+-]?\d+)?)$/u.exec(line);
    if (match === null) throw new Error(`not a sample: ${line}`);
    expect(series.has(match[1] ?? ''), line).toBe(false);
    series.set(match[1] ?? '', Number(match[2]));
  }
  return series;
}

describe('metrics', () => {
  test('count decisions by what became of them', () => {
    const series = parse(text([DENIED, { ...DENIED, count: 4 }, ALLOWED, QUESTION]));
    const of = (kind: string, rest: string) => series.get(`sand_decisions_total{kind="${kind}",${rest}}`);
    expect(of('connection', 'verdict="deny",disposition="refused",reason="no-rule"')).toBe(5);
    expect(of('connection', 'verdict="allow",disposition="forwarded",reason="allowed-by-rule"')).toBe(1);
    expect(series.get('sand_denied_total{host="denied.example"}')).toBe(6);
    expect(series.get('sand_dns_questions_total{type="A",rcode="NXDOMAIN"}')).toBe(1);
    expect(series.get('sand_uptime_seconds')).toBe(2.5);
    expect([series.get('sand_audit_events_total'), series.get('sand_audit_bytes_total')]).toEqual([7, 700]);
  });

  test('count what is open, and what was moved when it has ended', () => {
    const close = { kind: 'close', host: 'a', port: 1, bytesOut: 10, bytesIn: 200, durationMs: 300 } as const;
    const series = parse(text([ALLOWED, { ...ALLOWED, connection: 2 }, { ...close, connection: 1 }]));
    expect(series.get('sand_connections_open')).toBe(1);
    expect(series.get('sand_bytes_total{direction="in"}')).toBe(200);
    expect(series.get('sand_connection_duration_seconds_bucket{le="0.1"}')).toBe(0);
    expect(series.get('sand_connection_duration_seconds_bucket{le="0.5"}')).toBe(1);
    expect(series.get('sand_connection_duration_seconds_count')).toBe(1);
  });

  test('say no more than a bounded number of hosts, whatever a guest asks for', () => {
    const asked = Array.from({ length: 5_000 }, (_, at) => ({ ...DENIED, host: `h${at}.example` }));
    const series = parse(
      text([...asked, { ...QUESTION, type: 'TYPE777' }, { ...QUESTION, type: 'TYPE778' }]),
    );
    const hosts = [...series.keys()].filter((key) => key.startsWith('sand_denied_total'));
    expect(hosts).toHaveLength(METRICS_LIMITS.hosts + 1);
    expect(series.get('sand_denied_total{host="other"}')).toBe(5_000 - METRICS_LIMITS.hosts + 2);
    expect(series.get('sand_dns_questions_total{type="other",rcode="NXDOMAIN"}')).toBe(2);
  });

  test('leave out what is muted, by host', () => {
    expect(text([{ ...DENIED, muted: true }])).not.toContain('denied.example');
  });

  test.each(['a"b', 'a\\', 'a\nsand_up 1', '\u001b[2J', '\u202e', '\ud800', '{}', 'a",x="'])(
    'a host %j breaks out of nothing',
    (host) => {
      const shown = text([{ ...DENIED, host }]);
      // Cc but the newline of each line, and what nobody sees.
      expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect([...parse(shown).keys()].filter((key) => key.startsWith('sand_denied'))).toHaveLength(1);
    },
  );
});
