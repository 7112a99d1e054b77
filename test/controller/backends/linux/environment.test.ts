import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planEnvironment } from '../../../../controller/backends/linux/environment.ts';
import { planProxyVariables } from '../../../../controller/guest/tools.ts';
import { CALLER } from './samples.ts';

function plan(caller: Record<string, string | undefined>, named: Record<string, string> = {}) {
  return planEnvironment({ caller, identity: CALLER, named, visible: (path) => path.startsWith('/etc/') });
}

describe('planEnvironment', () => {
  it('passes the short list and drops everything else', () => {
    const planned = plan({
      PATH: '/bin',
      LC_TIME: 'C',
      AWS_SECRET_ACCESS_KEY: 'x',
      SSH_AUTH_SOCK: '/x',
      EMPTY: undefined,
    });
    expect(planned).toMatchObject({ PATH: '/bin', LC_TIME: 'C' });
    expect(planned).not.toHaveProperty('AWS_SECRET_ACCESS_KEY');
    expect(planned).not.toHaveProperty('SSH_AUTH_SOCK');
  });

  it('passes certificate variables only where the guest sees the file', () => {
    expect(plan({ SSL_CERT_FILE: '/etc/ssl/ca.pem' })).toHaveProperty('SSL_CERT_FILE', '/etc/ssl/ca.pem');
    expect(plan({ SSL_CERT_FILE: '/home/ada/ca.pem' })).not.toHaveProperty('SSL_CERT_FILE');
  });

  it('names the gateway\u2019s proxy in every spelling, whatever the caller\u2019s own is', () => {
    const planned = plan({
      http_proxy: 'http://proxy.example.com:8080',
      HTTPS_PROXY: 'http://user:secret@proxy',
    });
    expect(planned).toMatchObject(planProxyVariables('http://198.18.0.1:3128'));
  });

  it('gives the guest a home and a name of its own, and lets the caller\u2019s --env win', () => {
    expect(plan({ HOME: '/root', USER: 'root' })).toMatchObject({
      HOME: '/home/ada',
      USER: 'sand',
      SAND: '1',
    });
    const named = { USER: 'named', MINE: 'x', https_proxy: 'http://mine.example' };
    expect(plan({}, named)).toMatchObject(named);
  });

  it('puts an image\u2019s variables before the caller\u2019s, and sand\u2019s own and --env before them', () => {
    const image = {
      PATH: '/image',
      HOME: '/x',
      http_proxy: 'http://198.51.100.1:1',
      NAMED: 'image',
      LANG: 'C',
    };
    const caller = { PATH: '/bin', LANG: 'de_DE', TERM: 'xterm' };
    const planned = planEnvironment({
      caller,
      identity: CALLER,
      image,
      named: { NAMED: 'mine' },
      visible: () => false,
    });
    expect(planned).toMatchObject({
      PATH: '/image',
      LANG: 'C',
      TERM: 'xterm',
      HOME: CALLER.home,
      NAMED: 'mine',
    });
    expect(planned.http_proxy).toBe(planned.HTTP_PROXY);
  });

  it('carries no value of the caller by a name that is not listed', () => {
    const name = fc.stringMatching(/^[A-Z]{3,12}$/).filter((text) => !(text in plan({ [text]: 'probe' })));
    fc.assert(
      fc.property(name, (unlisted) => {
        expect(Object.values(plan({ [unlisted]: 'a value of the caller' }))).not.toContain(
          'a value of the caller',
        );
      }),
    );
  });
});
