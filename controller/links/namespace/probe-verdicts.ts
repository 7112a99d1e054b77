/**
 * What the prober saw, judged: whether the guest's only way out ends at this gateway. What counts is who
 * answered, not whether a connect succeeded. Pure.
 */
import type { ProbeResult } from '../../../audit/event.ts';
import type { AskObservation, ConnectObservation, ProbeObservations, ProbePlan } from './messages.ts';
import { LINK, type TriedDestination } from './topology.ts';

export interface ProbeExpectations {
  readonly plan: ProbePlan;
  /** The line with which this gateway, and nobody else, greets a connection while probes run. */
  readonly greeting: string;
  /** Inside the synthetic range: what this gateway answers for its reserved name. */
  readonly isSynthetic: (address: string) => boolean;
}

const GATEWAY6_HEX = 'fd73616e006400000000000000000001';

export function judgeObservations(
  seen: ProbeObservations,
  expected: ProbeExpectations,
): readonly ProbeResult[] {
  return [
    judgeInterfaces(seen),
    judgeRoutes(seen),
    ...seen.connects.map((connect) => judgeConnect(connect, expected)),
    ...judgeAsks(seen.asks, expected),
    result(
      'probes-complete',
      seen.connects.length === expected.plan.connect.length &&
        seen.asks.length === expected.plan.servers.length * 2,
      `${seen.connects.length} connects and ${seen.asks.length} questions were tried`,
    ),
  ];
}

export function judgeConnect(
  connect: ConnectObservation,
  expected: Pick<ProbeExpectations, 'greeting'>,
): ProbeResult {
  const passed =
    connect.outcome === 'no-connection' ||
    (connect.outcome === 'answered' && connect.answer.trim() === expected.greeting);
  const who = connect.outcome === 'no-connection' ? 'nobody' : passed ? 'the gateway' : 'somebody else';
  return result('connect', passed, `${connect.address} port ${connect.port}: ${who} answered`);
}

function judgeInterfaces(seen: ProbeObservations): ProbeResult {
  const others = seen.interfaces.filter((name) => name !== 'lo' && name !== LINK.guestInterface);
  const passed = others.length === 0 && seen.interfaces.includes(LINK.guestInterface);
  return result('interfaces', passed, seen.interfaces.join(', '));
}

function judgeRoutes(seen: ProbeObservations): ProbeResult {
  const own = [
    `default via ${LINK.gateway4} dev ${LINK.guestInterface}`,
    `default6 via ${GATEWAY6_HEX} dev ${LINK.guestInterface}`,
  ];
  return result(
    'routes',
    seen.routes.length > 0 && seen.routes.every((route) => own.includes(route)),
    seen.routes.join('; '),
  );
}

export function judgeAsks(
  asks: readonly AskObservation[],
  expected: ProbeExpectations,
): readonly ProbeResult[] {
  return asks.map((ask) => {
    const reserved = ask.name === expected.plan.reservedName;
    const passed = reserved
      ? ask.outcome === 'answered' && ask.addresses.length > 0 && ask.addresses.every(expected.isSynthetic)
      : ask.outcome === 'not-found';
    const what = reserved ? 'a name that only the gateway knows' : 'a denied name';
    return result(
      'resolver',
      passed,
      `${what}, asked at ${ask.server}: ${ask.outcome} ${ask.addresses.join(' ')}`.trim(),
    );
  });
}

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}

/** The kernel's counts without the packets of the probes themselves: one SYN for each refused connect of each look. */
export function withoutProbes(
  tried: readonly TriedDestination[],
  plan: ProbePlan,
  looks = 1,
): readonly TriedDestination[] {
  return tried
    .map((destination) => {
      const own = plan.connect.filter(
        ({ address, port }) => address === destination.address && port === destination.port,
      );
      return {
        ...destination,
        count: destination.transport === 'tcp' ? destination.count - own.length * looks : destination.count,
      };
    })
    .filter(({ count }) => count > 0);
}
