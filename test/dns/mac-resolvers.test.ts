import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMacResolvers, serversFor } from '../../dns/mac-resolvers.ts';

/** As macOS prints it on a laptop at home with a VPN that knows some domains; the addresses are for documentation. */
const SPLIT = `DNS configuration

resolver #1
  search domain[0] : corp.example
  search domain[1] : home.example
  nameserver[0] : 198.51.100.53
  if_index : 34 (utun12)
  flags    : Supplemental, Request A records, Request AAAA records
  reach    : 0x00000003 (Reachable,Transient Connection)
  order    : 101200

resolver #2
  search domain[0] : home.example
  nameserver[0] : 192.0.2.53
  nameserver[1] : 2001:db8::53
  nameserver[2] : fe80::1%en0
  if_index : 14 (en0)
  flags    : Request A records, Request AAAA records
  reach    : 0x00020002 (Reachable,Directly Reachable Address)
  order    : 200000

resolver #3
  domain   : Corp.Example.
  nameserver[0] : 198.51.100.53
  flags    : Supplemental, Request A records, Request AAAA records
  reach    : 0x00000003 (Reachable,Transient Connection)
  order    : 101201

resolver #4
  domain   : corp.example
  nameserver[0] : 198.51.100.54
  port     : 5300
  flags    : Supplemental, Request A records
  order    : 101202

resolver #5
  domain   : lab.corp.example
  nameserver[0] : 203.0.113.53
  flags    : Request A records
  reach    : 0x00000002 (Reachable)

resolver #6
  domain   : gone.example
  nameserver[0] : 203.0.113.54
  flags    : Request A records
  reach    : 0x00000000 (Not Reachable)

resolver #7
  domain   : local
  options  : mdns
  timeout  : 5
  flags    : Request A records, Request AAAA records
  reach    : 0x00000000 (Not Reachable)
  order    : 300000

DNS configuration (for scoped queries)

resolver #1
  nameserver[0] : 203.0.113.99
  if_index : 14 (en0)
  flags    : Scoped, Request A records
  reach    : 0x00020002 (Reachable,Directly Reachable Address)
`;

const asked = (text: string, name?: string) =>
  serversFor(parseMacResolvers(text), name).map(({ address, port }) => `${address} ${port}`);

describe('the resolvers of a Mac', () => {
  it('are for most names those of the first that is for every name, never a scoped one', () => {
    expect(asked(SPLIT)).toEqual(['192.0.2.53 53', '2001:db8::53 53']);
    expect(asked(SPLIT, 'example.com')).toEqual(asked(SPLIT));
  });

  it('are for a domain its own alone, the longest that holds the name', () => {
    expect(asked(SPLIT, 'corp.example')).toEqual(['198.51.100.53 53', '198.51.100.54 5300']);
    expect(asked(SPLIT, 'git.corp.example')).toEqual(asked(SPLIT, 'corp.example'));
    expect(asked(SPLIT, 'a.lab.corp.example')).toEqual(['203.0.113.53 53']);
    for (const other of ['notcorp.example', 'corp.example.com', 'example'])
      expect(asked(SPLIT, other)).toEqual(asked(SPLIT));
  });

  it('are none that cannot be reached, and none for multicast', () => {
    expect(asked(SPLIT, 'a.gone.example')).toEqual(asked(SPLIT));
    expect(asked(SPLIT, 'printer.local')).toEqual(asked(SPLIT));
  });

  it('are none without a network, and where something else is said', () => {
    for (const text of ['No DNS configuration available\n', '', 'DNS configuration\n\nresolver #1\n'])
      expect(asked(text)).toEqual([]);
    expect(asked('DNS configuration\n\nresolver #1\n  nameserver[0] : 192.0.2.53\n  port : 0\n')).toEqual([]);
  });

  it('are bounded', () => {
    const servers = Array.from({ length: 50 }, (_, at) => `  nameserver[${at}] : 192.0.2.${at}\n`).join('');
    expect(asked(`DNS configuration\n\nresolver #1\n${servers}`).length).toBeLessThan(10);
    const many = Array.from(
      { length: 2_000 },
      (_, at) => `resolver #${at}\n  domain : d${at}\n  nameserver[0] : 192.0.2.1\n`,
    );
    expect(parseMacResolvers(`DNS configuration\n\n${many.join('\n')}`).domains.length).toBe(512);
  });

  it('survive any text', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom(...SPLIT.split('\n')))), (lines) => {
        parseMacResolvers(lines.join('\n'));
      }),
    );
  });
});
