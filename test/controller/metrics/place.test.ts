import { describe, expect, test } from 'vitest';
import { SandError } from '../../../controller/errors.ts';
import { parseMetricsPlace, refuseGuestPlace } from '../../../controller/metrics/place.ts';

describe('where metrics are served', () => {
  test('is a Unix socket or a loopback port', () => {
    expect(parseMetricsPlace('unix:a/b.sock', '/w')).toEqual({ kind: 'unix', path: '/w/a/b.sock' });
    expect(parseMetricsPlace('127.0.0.1:9464', '/')).toEqual({
      kind: 'port',
      address: '127.0.0.1',
      port: 9464,
    });
    expect(parseMetricsPlace('[::1]:0', '/')).toEqual({ kind: 'port', address: '::1', port: 0 });
  });

  test.each([
    '0.0.0.0:1',
    '[::]:1',
    '192.0.2.1:9464',
    'localhost:9464',
    '9464',
    ':9464',
    'unix:',
    '',
    `unix:${'x'.repeat(108)}`,
  ])('is nowhere else: %j', (text) => {
    expect(() => parseMetricsPlace(text, '/')).toThrow(SandError);
  });

  test('is not where the guest looks', () => {
    const place = parseMetricsPlace('unix:/w/m.sock', '/');
    expect(() => refuseGuestPlace(place, ['/w'])).toThrow('the guest sees /w');
    expect(() => refuseGuestPlace(place, ['/'])).toThrow(SandError);
    refuseGuestPlace(place, ['/w/m', '/wx']);
    refuseGuestPlace(parseMetricsPlace('127.0.0.1:1', '/'), ['/']);
  });
});
