/** The emulated stock Softnet against the vectors that were read from the real one\u2019s source: it decides as they say, by itself. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('tart-stock/vmnet.py', import.meta.url));
const { assume, vectors, targets } = JSON.parse(
  readFileSync(new URL('../controller/backends/tart/recorded/softnet-vectors.json', import.meta.url), 'utf8'),
);

interface Packet {
  readonly dst?: string;
  readonly proto?: string;
  readonly dport?: number;
  readonly sport?: number;
  readonly src?: string;
  readonly senderIp?: string;
  readonly srcMac?: string;
  readonly ether?: string;
  readonly lease?: boolean;
}

function ask(allow: readonly string[], block: readonly string[], packet: Packet): string {
  return JSON.stringify({
    allow: allow.length === 0 ? null : allow.join(','),
    block: block.length === 0 ? null : block.join(','),
    gateway: assume.gateway,
    resolvers: assume.dhcpDns,
    lease: packet.lease === false ? null : assume.vmIp,
    packet: {
      ether: packet.ether ?? 'ipv4',
      hasOwnMac: packet.srcMac !== 'other',
      source: packet.senderIp ?? packet.src ?? assume.vmIp,
      destination: packet.dst ?? '0.0.0.0',
      protocol: packet.proto ?? '',
      sourcePort: packet.sport ?? 50_000,
      destinationPort: packet.dport ?? 0,
    },
  });
}

function decide(questions: readonly string[]): readonly string[] {
  const input = `${questions.join('\n')}\n`;
  return execFileSync('python3', [PROGRAM, '--emulated-decide'], { input }).toString().trim().split('\n');
}

it('the emulated Softnet passes what the vectors pass, and drops the rest', () => {
  const said = decide(
    vectors.map((one: { allow: readonly string[]; block: readonly string[]; packet: Packet }) =>
      ask(one.allow, one.block, one.packet),
    ),
  );
  const wrong = vectors.flatMap((one: { id: string; passes: boolean }, at: number) =>
    said[at] === String(one.passes) ? [] : [`${one.id}: ${said[at]}`],
  );
  expect(wrong).toEqual([]);
});

it('the emulated Softnet reads the targets that the real one reads', () => {
  const asked = targets.filter(
    ({ target }: { target: string }) => !/^(in|out) |:/.test(target) && target !== '',
  );
  const said = decide(asked.map(({ target }: { target: string }) => ask([target], [], {})));
  const wrong = asked.flatMap((one: { target: string; accepted: boolean }, at: number) =>
    (said[at] !== 'refused') === one.accepted ? [] : [`${one.target}: ${said[at]}`],
  );
  expect(wrong).toEqual([]);
});
