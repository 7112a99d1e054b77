/**
 * What is tried from a guest's place before its command runs, whatever its link, and what must come of it: that what
 * answers is this gateway or nobody. What counts is who answered, not whether a connect succeeded.
 */
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { ProbeResult } from '../../audit/event.ts';
import type { GatewayPort, RefusedDestination } from '../backends/backend.ts';

/** Documentation addresses (RFC 5737, RFC 3849): nothing private answers there, and nothing real does. */
export const OUTSIDE = {
  address4: '203.0.113.7',
  address6: '2001:db8::7',
  resolver: '198.51.100.53',
} as const;

export interface ProbePlan {
  /** Connected to; the gateway answers with its nonce. Documentation addresses and the host's own. */
  readonly connect: readonly { readonly address: string; readonly port: number }[];
  /** Asked over UDP 53 at these servers; `ADDRESS#PORT` where a link has one at another port. */
  readonly servers: readonly string[];
  /** A name that only this gateway knows, and one that it denies. */
  readonly reservedName: string;
  readonly deniedName: string;
}

/** What a connect attempt met: refused or unreachable, or the first line that was read. */
export interface ConnectObservation {
  readonly address: string;
  readonly port: number;
  readonly outcome: 'no-connection' | 'answered' | 'silent';
  readonly answer: string;
}

export interface AskObservation {
  readonly server: string;
  readonly name: string;
  /** Addresses in the answer; empty with the rcode text when there was none. */
  readonly addresses: readonly string[];
  readonly outcome: 'answered' | 'not-found' | 'refused' | 'timeout';
}

export interface ProbeExpectations {
  readonly plan: ProbePlan;
  /** The line with which this gateway, and nobody else, greets a connection while probes run. */
  readonly greeting: string;
  /** Inside the synthetic range: what this gateway answers for its reserved name. */
  readonly isSynthetic: (address: string) => boolean;
}

/** Raw addresses outside, the host's own addresses, and its listeners; then the resolver, at its own place and at any other. */
export function planProbes(
  gateway: Pick<GatewayPort, 'hostListeners' | 'probe'>,
  nameserver: string,
): ProbePlan {
  const own = Object.values(networkInterfaces())
    .flat()
    .filter((address) => address !== undefined && !address.internal && !address.address.startsWith('fe80'))
    .map((address) => address?.address ?? '');
  const hostAddresses = [own.find(isIPv4), own.find((address) => !isIPv4(address))].filter(
    (address) => address !== undefined,
  );
  return {
    connect: [
      { address: OUTSIDE.address4, port: 443 },
      { address: OUTSIDE.address6, port: 443 },
      { address: OUTSIDE.address4, port: 9 },
      ...hostAddresses.map((address) => ({ address, port: 80 })),
      ...gateway.hostListeners,
    ],
    servers: [nameserver, OUTSIDE.resolver],
    reservedName: gateway.probe.reservedName,
    deniedName: gateway.probe.deniedName,
  };
}

export function isSynthetic(address: string): boolean {
  return isIPv4(address) && /^198\.1[89]\./.test(address);
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

/** The kernel's counts without the packets of the probes themselves: one SYN for each refused connect of each look. */
export function withoutProbes(
  tried: readonly RefusedDestination[],
  plan: ProbePlan,
  looks = 1,
): readonly RefusedDestination[] {
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

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}
