/** What was tried from inside a guest of Tart, judged: one card, whose every connection ends at the gateway. Pure. */
import type { ProbeResult } from '../../../audit/event.ts';
import { strangeAddresses } from '../../links/ethernet/guest-cards.ts';
import { isSynthetic, judgeAsks, judgeConnect, type ProbePlan } from '../../links/probing.ts';
import type { GuestReport } from './guest-probe.ts';

export interface Expectations {
  readonly plan: ProbePlan;
  /** The line with which this gateway, and nobody else, greets a connection while probes run. */
  readonly greeting: string;
  /** The guest's on the cable. */
  readonly address: string;
  /** Where its tools find the proxy; among what is connected to. */
  readonly proxy: { readonly address: string; readonly port: number };
}

/** `seen` null: what the guest printed does not read. Fail closed: then nothing passed. */
export function judgeGuestReport(seen: GuestReport | null, expected: Expectations): readonly ProbeResult[] {
  if (seen === null)
    return [result('probes-complete', false, 'what the guest said of its probes does not read')];
  const { connects, asks, interfaces } = seen;
  const { plan, greeting } = expected;
  const strange = interfaces.flatMap((one) => strangeAddresses(one, expected.address));
  const isThere = interfaces.some(({ addresses }) => addresses.includes(expected.address));
  const isWhole = connects.length === plan.connect.length && asks.length === plan.servers.length * 2;
  return [
    result(
      'interfaces',
      strange.length === 0 && isThere,
      strange.join(', ') || (isThere ? 'one card, on the cable' : `none has ${expected.address}`),
    ),
    ...connects.map((connect) => judgeConnect(connect, expected)),
    ...judgeAsks(asks, { plan, greeting, isSynthetic }),
    judgeReached(connects, expected),
    result('probes-complete', isWhole, `${connects.length} connects and ${asks.length} questions were tried`),
  ];
}

/** A guest that reaches nobody at all would pass every other probe, and be of no use. */
function judgeReached(connects: GuestReport['connects'], { proxy, greeting }: Expectations): ProbeResult {
  const met = connects.find(({ address, port }) => address === proxy.address && port === proxy.port);
  const passed = met?.answer.trim() === greeting;
  const place = `${proxy.address} port ${proxy.port}`;
  return result(
    'proxy',
    passed,
    passed ? `${place} is the gateway\u2019s` : `nothing of the gateway\u2019s at ${place}`,
  );
}

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}
