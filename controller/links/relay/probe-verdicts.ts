/**
 * What was tried from a relay guest's place, judged: a network of loopback alone, whose every connection ends at the
 * gateway, and a command without the power to change that. Pure.
 */
import type { ProbeResult } from '../../../audit/event.ts';
import {
  type AskObservation,
  type ConnectObservation,
  judgeAsks,
  judgeConnect,
  type ProbeExpectations,
  type ProbePlan,
} from '../probing.ts';
import type { RelayAttempt, RelayMode, RelayObservation } from './relay-program.ts';

export function planAttempts({
  connect,
  servers,
  reservedName,
  deniedName,
}: ProbePlan): readonly RelayAttempt[] {
  return [
    ...connect.map(({ address, port }): RelayAttempt => ({ kind: 'tcp', address, port })),
    ...servers.flatMap((server) =>
      [reservedName, deniedName].map((name): RelayAttempt => ({ kind: 'ask', server, name })),
    ),
    ...(['interfaces', 'routes', 'status'] as const).map((what): RelayAttempt => ({ kind: 'list', what })),
  ];
}

export interface RelayExpectations extends ProbeExpectations {
  readonly mode: RelayMode;
}

/** Bits of linux/capability.h that change networks, see raw packets, or move mounts. */
const FORBIDDEN_CAPABILITIES = { 12: 'NET_ADMIN', 13: 'NET_RAW', 16: 'SYS_MODULE', 21: 'SYS_ADMIN' } as const;
const SETS = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'] as const;

/** `seen` null: what the relay printed does not read. Fail closed: then nothing passed. */
export function judgeRelayReport(
  seen: readonly RelayObservation[] | null,
  expected: RelayExpectations,
): readonly ProbeResult[] {
  if (seen === null)
    return [result('probes-complete', false, 'the report of the guest\u2019s relay does not read')];
  const interfaces = seen.flatMap((one) => (one.kind === 'interface' ? [one.text] : []));
  const routes = seen.flatMap((one) => (one.kind === 'route' ? [one.text] : []));
  const connects = seen.flatMap((one) => (one.kind === 'tcp' ? [connectOf(one)] : []));
  const asks = seen.flatMap((one) => (one.kind === 'ask' ? [askOf(one)] : []));
  const { plan, mode } = expected;
  // Where the guest's kernel has no route to the world, another resolver cannot be reached at all.
  const isReached = ({ server, outcome }: AskObservation) =>
    mode === 'redirect' || server === plan.servers[0] || outcome === 'answered';
  return [
    result('interfaces', interfaces.length === 1 && interfaces[0] === 'lo', interfaces.join(', ') || 'none'),
    result('routes', routes.length === 0, routes.join('; ') || 'none beside the relay\u2019s'),
    ...connects.map((connect) => judgeConnect(connect, expected)),
    ...judgeAsks(asks.filter(isReached), expected),
    judgeCapabilities(seen),
    result(
      'probes-complete',
      connects.length === plan.connect.length && asks.length === plan.servers.length * 2,
      `${connects.length} connects and ${asks.length} questions were tried`,
    ),
  ];
}

function connectOf(seen: Extract<RelayObservation, { kind: 'tcp' }>): ConnectObservation {
  const { address, port, answer } = seen;
  const outcome =
    seen.outcome === 'nobody' ? 'no-connection' : seen.outcome === 'answered' ? 'answered' : 'silent';
  return { address, port, outcome, answer };
}

function askOf({
  server,
  name,
  outcome,
  addresses,
}: Extract<RelayObservation, { kind: 'ask' }>): AskObservation {
  return { server, name, addresses, outcome: outcome === 'died' ? 'timeout' : outcome };
}

/** Of a command of root's: what is not in its bounding set none of its children can have either. */
export function judgeCapabilities(seen: readonly RelayObservation[]): ProbeResult {
  const sets = new Map(
    seen.flatMap((one) => (one.kind === 'status' ? [[one.name, one.value] as const] : [])),
  );
  const found = SETS.flatMap((name) => {
    const mask = sets.get(name);
    if (mask === undefined || !/^[0-9a-f]{1,16}$/.test(mask)) return [`${name} (unknown)`];
    return Object.entries(FORBIDDEN_CAPABILITIES).flatMap(([bit, capability]) =>
      (BigInt(`0x${mask}`) >> BigInt(bit)) & 1n ? [`${capability} in ${name}`] : [],
    );
  });
  return result(
    'guest-capabilities',
    found.length === 0,
    found.join(', ') || 'none that changes its network',
  );
}

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}
