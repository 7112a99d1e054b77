import { describe, expect, it } from 'vitest';
import { REASONS } from '../../policies/reasons.ts';
import { type Denial, formatRefusal, shown, statusOf, tlsAlert } from '../../proxy/refusal.ts';

const TEXT = { wantsJson: false, keepAlive: false, isHead: false };

function denial(changes: Partial<Denial> = {}): Denial {
  return {
    verdict: 'deny',
    reason: 'deny-rule',
    rule: {
      id: 'web-app/deny:gist.example',
      origin: { file: 'sand.policy.yaml', line: 12, column: 3 },
      because: 'user content',
    },
    detail: 'gist.example is at 10.1.2.3',
    suggestion: 'allow: secret.internal.example',
    muted: false,
    status: null,
    advice: null,
    ...changes,
  };
}

const SUBJECT = { request: 'GET http://gist.example:80/x', authority: 'gist.example:80' };

describe('a refusal', () => {
  it('says what, why, by which rule, and how to have it explained', () => {
    const { status, bytes } = formatRefusal(denial(), SUBJECT, TEXT);
    expect(status).toBe(403);
    expect(bytes.toString()).toBe(
      [
        'HTTP/1.1 403 Forbidden (sand: deny-rule)',
        'x-sand-reason: deny-rule',
        'x-sand-rule: web-app/deny:gist.example',
        'content-type: text/plain; charset=utf-8',
        'content-length: 216',
        'cache-control: no-store',
        'connection: close',
        '',
        'sand refused GET http://gist.example:80/x',
        'reason: deny-rule (a deny rule covers it, and deny beats allow)',
        'rule: web-app/deny:gist.example (sand.policy.yaml:12)',
        'because: user content',
        'explain: sand why gist.example:80',
        '',
      ]
        .join('\r\n')
        .replace(/(sand refused[\s\S]*)/, (body) => body.replaceAll('\r\n', '\n')),
    );
  });

  it('is JSON for a client that accepts JSON', () => {
    const text = formatRefusal(denial(), SUBJECT, { ...TEXT, wantsJson: true }).bytes.toString();
    expect(text).toContain('content-type: application/json');
    expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toEqual({
      refused: 'GET http://gist.example:80/x',
      reason: 'deny-rule',
      means: REASONS['deny-rule'],
      rule: { id: 'web-app/deny:gist.example', at: 'sand.policy.yaml:12', because: 'user content' },
      explain: 'sand why gist.example:80',
    });
  });

  it('of a HEAD request has the length of its body and no body', () => {
    const text = formatRefusal(denial(), SUBJECT, {
      ...TEXT,
      isHead: true,
      keepAlive: true,
    }).bytes.toString();
    expect(text).toMatch(/content-length: [1-9]/);
    expect(text).toContain('connection: keep-alive');
    expect(text.endsWith('\r\n\r\n')).toBe(true);
  });

  it('shows no host path, no resolved address and no other rule', () => {
    for (const file of [
      '/home/someone/project/sand.policy.yaml',
      '~/x/sand.policy.yaml',
      'C:\\x\\sand.policy.yaml',
    ]) {
      const rule = { id: 'a/deny:b', origin: { file, line: 3, column: 1 }, because: null };
      for (const wantsJson of [false, true]) {
        const text = formatRefusal(denial({ rule }), SUBJECT, { ...TEXT, wantsJson }).bytes.toString();
        expect(text).not.toMatch(/home|someone|C:|~|10\.1\.2\.3|secret\.internal/);
        expect(text).toContain('sand.policy.yaml:3');
      }
    }
  });

  it('escapes what a guest or a policy could inject', () => {
    const rule = {
      id: 'a/deny:b\r\nset-cookie: x=1',
      origin: { file: 'p\u001b[31m.yaml', line: 1, column: 1 },
      because: 'x\u202ey\n\nz',
    };
    const subject = { request: 'GET http://a\r\n\u001b[2J', authority: 'a;rm -rf:80' };
    const text = formatRefusal(denial({ rule }), subject, TEXT).bytes.toString();
    const [head = '', body = ''] = text.split('\r\n\r\n');
    expect(head).not.toMatch(/^set-cookie/m);
    expect(body).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect(body).not.toContain('rm -rf');
  });

  it('has the status that its reason asks for', () => {
    const statuses = Object.fromEntries(
      (Object.keys(REASONS) as (keyof typeof REASONS)[]).map((reason) => [
        reason,
        statusOf(denial({ reason })),
      ]),
    );
    expect(statuses).toMatchObject({
      'no-rule': 403,
      'address-guarded': 403,
      'request-malformed': 400,
      'dns-not-found': 502,
      'upstream-timeout': 504,
      'limit-connections': 503,
      'audit-unavailable': 503,
      'internal-error': 500,
    });
    expect(statusOf(denial({ status: 501 }))).toBe(501);
  });
});

describe('text of a guest', () => {
  it('is cut and keeps nothing that moves a cursor', () => {
    expect(shown('a\u0007b\u2028c')).toBe('a\\u{7}b\\u{2028}c');
    expect(shown('x'.repeat(1000)).length).toBeLessThan(400);
  });
});

describe('a TLS alert', () => {
  it('is fatal and in a record of its own', () => {
    expect([...tlsAlert('access_denied')]).toEqual([21, 3, 3, 0, 2, 2, 49]);
  });
});
