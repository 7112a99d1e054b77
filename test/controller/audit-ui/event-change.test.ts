import { describe, expect, it } from 'vitest';
import type { AuditEntry, AuditEvent } from '../../../audit/event.ts';
import { changeForEvent, UI_ACTIONS, type UiAction } from '../../../controller/audit-ui/event-change.ts';
import { pasteLine } from '../../../policies/edit/rule-text.ts';
import { close, connection, dns, eventsOf, runEnd, runStart, unplanted } from '../../audit/samples.ts';

function eventOf(entry: AuditEntry): AuditEvent {
  const [event] = eventsOf([entry]);
  if (event === undefined) throw new Error('no event');
  return event;
}

function linesFor(entry: AuditEntry, action: UiAction): readonly string[] | string {
  const change = changeForEvent(eventOf(entry), action, 0);
  return change.ok ? change.rules.map(pasteLine) : change.message;
}

describe('a rule for an event', () => {
  it.each([
    [dns({ name: 'api.example.com' }), '- allow: api.example.com'],
    [connection({ host: 'api.example.com' }), '- allow: api.example.com'],
    [connection({ host: 'api.example.com', port: 8443 }), '- {allow: api.example.com, https: [8443]}'],
    [
      connection({ host: 'db.example.com', port: 5432, protocol: null }),
      '- {allow: db.example.com, tcp: [5432]}',
    ],
    [connection({ host: 'a.example', port: 443, protocol: 'tcp' }), '- {allow: a.example, tcp: [443]}'],
    [connection({ host: '198.51.100.7', port: 80, protocol: 'http' }), '- allow: 198.51.100.7'],
    [connection({ host: '2001:db8::7', reason: 'raw-address' }), '- allow: "2001:db8::7"'],
    [
      unplanted({ host: 'db.example.com', port: 22, transport: 'tcp' }),
      '- {allow: db.example.com, tcp: [22]}',
    ],
    [
      connection({
        host: 'a.example',
        port: 80,
        protocol: 'http',
        reason: 'path-not-allowed',
        method: 'POST',
        path: '/v1/x',
      }),
      '- {allow: a.example, http: [80], methods: [POST], paths: ["/v1/x"]}',
    ],
  ])('allows what its suggestion would: %#', (entry, line) => {
    const said = linesFor(entry, 'allow');
    expect(typeof said === 'string' ? said : said.map((one) => one.replace('[/v1/x]', '["/v1/x"]'))).toEqual([
      line,
    ]);
  });

  it.each(['deny', 'mute'] as const)('%s covers the host on every port', (action) => {
    expect(linesFor(connection({ host: 'a.example', port: 8443 }), action)).toEqual([
      `- ${action}: a.example`,
    ]);
  });

  it('is offered where a deny rule or the ceiling beats it, since the plan says so', () => {
    for (const reason of ['deny-rule', 'ceiling'] as const)
      expect(linesFor(connection({ host: 'a.example', reason }), 'allow')).toEqual(['- allow: a.example']);
  });

  it.each([
    ['metadata-address', 'by hand'],
    ['address-guarded', '--address'],
    ['address-not-listed', 'addresses'],
    ['loop', 'Ports of sand itself'],
  ] as const)('is not offered where a rule for the host turns nothing: %s', (reason, hint) => {
    const change = changeForEvent(eventOf(connection({ reason })), 'allow', 0);
    expect(change).toMatchObject({ ok: false, hint: expect.stringContaining(hint) });
  });

  it('is not offered for what is allowed, for other transports and for what no policy decides', () => {
    const allowed = { verdict: 'allow', reason: 'allowed-by-rule', disposition: 'forwarded' } as const;
    const rule = { id: 'p/allow:a', file: 'p.yaml', line: 3 };
    expect(linesFor(connection({ ...allowed, rule }), 'allow')).toContain('allows it already by p.yaml:3');
    expect(linesFor(unplanted({ transport: 'udp' }), 'allow')).toContain('udp');
    for (const entry of [runStart(), close(), runEnd()])
      for (const action of UI_ACTIONS) expect(linesFor(entry, action)).toContain('no policy decides');
  });

  it.each([
    '*.com',
    '**',
    'a.example # because',
    'a.example\n  - allow: b.example',
    '{allow: b.example}',
    '"a.example", b.example',
    '<img src=x onerror=alert(1)>',
    '',
    '..',
    'a'.repeat(300),
    '198.51.100.0/24',
    '0x7f.1',
    'a.example:443',
    '[::1',
  ])('is none for a host of a guest that is no host: %j', (host) => {
    for (const action of UI_ACTIONS) {
      expect(changeForEvent(eventOf(connection({ host })), action, 0).ok, action).toBe(false);
      expect(changeForEvent(eventOf(dns({ name: host })), action, 0).ok, action).toBe(false);
    }
  });

  it.each(['host.sand', 'x.sand', 'sand'])("is none for sand's own names: %s", (host) => {
    for (const action of UI_ACTIONS)
      expect(changeForEvent(eventOf(connection({ host, reason: 'port-not-allowed' })), action, 0).ok).toBe(
        false,
      );
  });

  it.each(['/a b', '/%2e%2e/x', '/a?b', '/"x"', '/\u202ex', '/[a](b)'])(
    'holds a path only as the policy language can: %j',
    (path) => {
      const entry = connection({ host: 'a.example', reason: 'path-not-allowed', method: 'GET', path });
      const change = changeForEvent(eventOf(entry), 'allow', 0);
      if (change.ok) for (const rule of change.rules) expect(rule.paths).toHaveLength(1);
    },
  );
});
