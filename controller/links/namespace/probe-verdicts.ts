/**
 * What the prober saw, judged: whether the guest's only way out ends at this gateway. What counts is who
 * answered, not whether a connect succeeded. Pure.
 */
import type { ProbeResult } from '../../../audit/event.ts';
import { judgeAsks, judgeConnect, type ProbeExpectations } from '../probing.ts';
import type { ProbeObservations } from './messages.ts';
import { LINK } from './topology.ts';

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

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}
