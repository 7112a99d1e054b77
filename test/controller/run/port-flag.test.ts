import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SandError } from '../../../controller/errors.ts';
import { formatPlace, parsePortFlag, parsePortFlags } from '../../../controller/run/port-flag.ts';
import { REFUSED_PORTS } from '../../../dns/limits.ts';

function codeOf(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    if (error instanceof SandError) return `${error.code}: ${error.message} / ${error.hint}`;
  }
  return 'no error';
}

describe('parsePortFlag', () => {
  it.each([
    ['8080', '127.0.0.1', 8080, 8080],
    ['8080:80', '127.0.0.1', 8080, 80],
    ['0:80', '127.0.0.1', 0, 80],
    [':80', '127.0.0.1', 0, 80],
    ['127.0.0.2:8080:80', '127.0.0.2', 8080, 80],
    ['192.0.2.7::80', '192.0.2.7', 0, 80],
    ['[::1]:8080:80', '::1', 8080, 80],
    ['[0:0:0:0:0:0:0:1]:8080:80', '::1', 8080, 80],
    ['8080:53', '127.0.0.1', 8080, 53],
    ['65535:65535', '127.0.0.1', 65_535, 65_535],
  ])('reads %s', (text, address, hostPort, guestPort) => {
    expect(parsePortFlag(text)).toEqual({ address, hostPort, guestPort });
  });

  it.each([
    [''],
    ['http'],
    ['0'],
    ['65536'],
    ['8080:'],
    ['8080:0'],
    ['8080:65536'],
    ['8080:80/udp'],
    ['-1:80'],
    ['+1:80'],
    ['1e3:80'],
    ['0x50:80'],
    ['8080:80:90:100'],
    ['localhost:8080:80'],
    [':8080:80'],
    ['127.1:8080:80'],
    ['0177.0.0.1:8080:80'],
    ['[127.0.0.1]:8080:80'],
    ['[fe80::1%eth0]:8080:80'],
    ['::1:8080:80'],
    ['[::1]8080:80'],
    ['[::1:8080:80'],
    ['*:8080:80'],
    ['8080-8090:80'],
    ['8080:80\n'],
    [' 8080'],
  ])('refuses %j and says what to write', (text) => {
    expect(codeOf(() => parsePortFlag(text))).toMatch(/^usage: .* \/ write for example -p 8080/s);
  });

  it.each([['0.0.0.0:8080:80'], ['[::]:8080:80'], ['[0:0::0]:8080:80'], ['[::ffff:0.0.0.0]:8080:80']])(
    'never listens on every interface: %s',
    (text) => {
      expect(codeOf(() => parsePortFlag(text))).toMatch(/^usage: .*(every interface|not an IP address)/);
    },
  );

  it('never listens on a port of the resolvers, written in any form', () => {
    for (const port of REFUSED_PORTS) {
      for (const text of [`${port}`, `${port}:80`, `[::1]:${port}:80`, `0${port}:80`.slice(-8)])
        expect(codeOf(() => parsePortFlag(text))).toMatch(/^port-refused: /);
    }
  });

  it('reads back what it is shown as, and never a text as another address or port', () => {
    const port = fc.integer({ min: 1, max: 65_535 }).filter((one) => !REFUSED_PORTS.has(one));
    fc.assert(
      fc.property(fc.constantFrom('127.0.0.1', '192.0.2.7', '::1', '2001:db8::7'), port, port, (...parts) => {
        const [address, hostPort, guestPort] = parts;
        const text = `${formatPlace(address, hostPort)}:${guestPort}`;
        expect(parsePortFlag(text)).toEqual({ address, hostPort, guestPort });
      }),
    );
  });

  it('survives any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[[\]:.0-9a-f]*$/)), (text) => {
        expect(codeOf(() => parsePortFlag(text))).toMatch(/^(no error|usage|port-refused)/);
      }),
    );
  });
});

describe('parsePortFlags', () => {
  it('refuses one place of the host twice, however it is written', () => {
    expect(codeOf(() => parsePortFlags(['8080:80', '127.0.0.1:8080:81']))).toMatch(/^usage: .*twice/);
    expect(codeOf(() => parsePortFlags(['[::1]:8080:80', '[0::1]:8080:81']))).toMatch(/^usage: .*twice/);
  });

  it('takes one port of the guest at two places, several free ones, and one port at two addresses', () => {
    expect(parsePortFlags(['8080:80', '8081:80', '0:80', '0:80', '[::1]:8080:80'])).toHaveLength(5);
  });

  it('is bounded', () => {
    expect(codeOf(() => parsePortFlags(Array.from({ length: 65 }, () => '0:80')))).toMatch(
      /^usage: .*65 times/,
    );
  });
});
