import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkDnsPort } from '../../../controller/doctor/dns-port.ts';
import { macPorts, parseLsof, parseNetstat } from '../../../controller/doctor/mac-ports.ts';

const UDP = `Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)
udp4       0      0  *.5353                 *.*
udp4       0      0  192.168.64.1.53        *.*
udp46      0      0  *.53                   *.*
udp6       0      0  fe80::1%lo0.53         *.*
udp4       0      0  192.0.2.7.53           192.0.2.9.4242
`;
const TCP = `Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)
tcp4       0      0  127.0.0.1.53           *.*                    LISTEN
tcp6       0      0  ::1.53                 *.*                    LISTEN
tcp4       0      0  192.0.2.7.59963        192.0.2.53.53          ESTABLISHED
`;
const LSOF = `p612
cmDNSResponder
f23
PUDP
n192.168.64.1:53
f24
PUDP
n*:53
p8000
cdnsmasq
f4
PTCP
n127.0.0.1:53
f5
PTCP
n[::1]:53
`;

describe('port 53 of a Mac', () => {
  it('is read from netstat: listeners alone, both families', () => {
    expect(parseNetstat('tcp', TCP)).toEqual([
      { transport: 'tcp', address: '127.0.0.1', port: 53 },
      { transport: 'tcp', address: '::1', port: 53 },
    ]);
    expect(parseNetstat('udp', UDP).map(({ address, port }) => `${address} ${port}`)).toEqual([
      '* 5353',
      '192.168.64.1 53',
      '* 53',
      'fe80::1 53',
    ]);
  });

  it('is told with who holds it, as far as this user may see', () => {
    const outputs: Readonly<Record<string, string>> = { udp: UDP, tcp: TCP };
    const asked: string[] = [];
    const check = (lsof: string) =>
      checkDnsPort(
        macPorts((file, args) => {
          asked.push([file, ...args].join(' '));
          return {
            exitCode: file.endsWith('lsof') ? 1 : 0,
            stdout: file.endsWith('lsof') ? lsof : (outputs[args.at(-1) ?? ''] ?? ''),
          };
        }),
      );
    expect(check(LSOF)).toMatchObject({
      state: 'ok',
      message:
        'is held by mDNSResponder (pid 612, macOS, for virtual machines or Internet Sharing) on udp 192.168.64.1, udp *' +
        ' and a process that is not visible on udp fe80::1 and dnsmasq (pid 8000) on tcp 127.0.0.1, tcp ::1; sand never needs it',
    });
    expect(check('').message).toContain('a process that is not visible on udp 192.168.64.1');
    expect(asked[0]).toBe('/usr/sbin/netstat -an -p udp');
    expect(asked[2]).toBe('/usr/sbin/lsof -nP +c0 -iTCP:53 -iUDP:53 -F pcPn');
  });

  it('is free, or cannot be looked up', () => {
    const check = (exitCode: number | null) => checkDnsPort(macPorts(() => ({ exitCode, stdout: '' })));
    expect(check(0).message).toBe('is free; sand never needs it');
    expect(check(null).message).toBe('cannot be looked up here; sand never needs it');
  });

  it('survives any output', () => {
    const line = fc.oneof(fc.string(), fc.constantFrom(...UDP.split('\n'), ...LSOF.split('\n')));
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        parseNetstat('udp', lines.join('\n'));
        parseLsof(lines.join('\n'));
      }),
    );
  });
});
