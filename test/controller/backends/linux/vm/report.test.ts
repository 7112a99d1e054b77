import { describe, expect, it } from 'vitest';
import {
  formatPlan,
  judgeMachine,
  parseMachineReport,
} from '../../../../../controller/backends/linux/vm/report.ts';

const PLAN = {
  connect: [
    { address: '203.0.113.7', port: 443 },
    { address: '203.0.113.7', port: 9 },
  ],
  servers: ['198.18.0.1'],
  reservedName: 'n.probe.sand',
  deniedName: 'n.denied.sand',
};
const EXPECTED = {
  plan: PLAN,
  greeting: 'nonce',
  isSynthetic: (address: string) => address.startsWith('198.18.'),
  kernel: '6.1.0-56-cloud-amd64',
  hostKernel: '6.18.0',
  identity: { uid: 1000, gid: 1000 },
};
const WHOLE = `connect 203.0.113.7 443 0 nonce
connect 203.0.113.7 9 1 
ask 198.18.0.1 n.denied.sand Server: 198.18.0.1 Address: 198.18.0.1:53 ** server can't find n.denied.sand: NXDOMAIN 
ask 198.18.0.1 n.probe.sand Server: 198.18.0.1 Address: 198.18.0.1:53 Non-authoritative answer: Name: n.probe.sand Address: 198.18.1.1 
interface eth0
interface lo
route default via 198.18.0.129 dev eth0 
route 198.18.0.128/28 dev eth0 scope link  src 198.18.0.130 
route6 default via fd73:616e:65::1 dev eth0  metric 1024 
kernel 6.1.0-56-cloud-amd64
user 1000:1000
status CapInh:	0000000000000000
status CapPrm:	0000000000000000
status CapEff:	0000000000000000
status CapAmb:	0000000000000000
status NoNewPrivs:	1
end
`;

const failed = (text: string) =>
  judgeMachine(parseMachineReport(text), EXPECTED)
    .filter(({ passed }) => !passed)
    .map(({ name }) => name);

describe('formatPlan', () => {
  it('is a line for each thing to try', () => {
    expect(formatPlan(PLAN)).toBe(
      'connect 203.0.113.7 443\nconnect 203.0.113.7 9\nask 198.18.0.1 n.probe.sand\nask 198.18.0.1 n.denied.sand\n',
    );
  });
});

describe('judgeMachine', () => {
  it('fails where the machine\u2019s kernel cannot be told from the host\u2019s', () => {
    const results = judgeMachine(parseMachineReport(WHOLE), { ...EXPECTED, hostKernel: EXPECTED.kernel });
    expect(results.find(({ name }) => name === 'machine-kernel')?.passed).toBe(false);
  });

  it('passes a machine whose only way out is the gateway', () => {
    expect(failed(WHOLE)).toEqual([]);
  });

  it.each([
    ['somebody else answers', 'nonce', 'other', ['machine-connect']],
    ['a connection is made and says nothing', '9 1 ', '9 0 ', ['machine-connect']],
    ['a connection hangs', '9 1 ', '9 143 ', ['machine-connect']],
    ['a connect was not tried', 'connect 203.0.113.7 9 1 \n', '', ['machine-probes-complete']],
    [
      'a denied name has an address',
      'n.denied.sand Server: 198.18.0.1 Address: 198.18.0.1:53 ** server',
      'n.denied.sand Name: x Address: 192.0.2.1 **',
      ['machine-resolver'],
    ],
    [
      'the reserved name is not known',
      'Name: n.probe.sand Address: 198.18.1.1',
      'NXDOMAIN',
      ['machine-resolver'],
    ],
    [
      'the reserved name has a real address',
      'Address: 198.18.1.1 ',
      'Address: 192.0.2.1 ',
      ['machine-resolver'],
    ],
    ['there is another card', 'interface lo', 'interface lo\ninterface eth1', ['machine-interfaces']],
    [
      'there is another way',
      'dev eth0 \nroute 198',
      'dev eth0 \nroute 10.0.0.0/8 dev eth1 \nroute 198',
      ['machine-routes'],
    ],
    ['the way is another', 'default via 198.18.0.129', 'default via 198.18.0.140', ['machine-routes']],
    ['it is the host\u2019s kernel', 'kernel 6.1.0-56-cloud-amd64', 'kernel 6.18.0', ['machine-kernel']],
    ['commands are root', 'user 1000:1000', 'user 0:0', ['machine-user']],
    [
      'a capability is left',
      'CapEff:\t0000000000000000',
      'CapEff:\t0000000000000001',
      ['machine-capabilities'],
    ],
    ['a set is not told', 'status CapAmb:\t0000000000000000\n', '', ['machine-capabilities']],
    ['privileges can be had', 'NoNewPrivs:\t1', 'NoNewPrivs:\t0', ['machine-no-new-privileges']],
    ['the report is cut', 'end\n', '', ['machine-report']],
    ['there is none', WHOLE, '', ['machine-report']],
  ])('fails where %s', (_, part, instead, names) => {
    const text = WHOLE.replace(part, () => instead);
    expect(text).not.toBe(WHOLE);
    expect(failed(text)).toEqual(names);
  });
});
