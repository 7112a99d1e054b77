/** Whether a guest's network leads to its gateway and nowhere else: what is tried from its place, and what must come of it. */
import { readlinkSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { ProbeResult } from '../../../audit/event.ts';
import { SandError } from '../../errors.ts';
import type { NamespaceLink } from '../../links/namespace/link.ts';
import type { ProbePlan } from '../../links/namespace/messages.ts';
import { judgeObservations } from '../../links/namespace/probe-verdicts.ts';
import { LINK } from '../../links/namespace/topology.ts';
import type { GatewayPort } from '../backend.ts';
import { requirePassed } from './probe-failure.ts';

/** Documentation addresses (RFC 5737, RFC 3849): nothing private answers there, and nothing real does. */
const OUTSIDE = { address4: '203.0.113.7', address6: '2001:db8::7', resolver: '198.51.100.53' } as const;

export function namespaceOf(link: NamespaceLink): string {
  try {
    return readlinkSync(`/proc/${link.holderPid}/ns/net`);
  } catch (error) {
    throw new SandError(
      'link-failed',
      `what holds the guest\u2019s namespace is gone (${error instanceof Error ? error.message : error})`,
      'look for what ends processes on this machine, such as a memory limit',
    );
  }
}

export async function confine(
  link: NamespaceLink,
  gateway: GatewayPort,
  plan: ProbePlan,
  namespace: string,
  signal: AbortSignal,
): Promise<void> {
  const seen = await link.probe(plan, signal);
  const results = judgeObservations(seen, {
    plan,
    greeting: gateway.probe.greeting,
    isSynthetic,
  });
  const all = [...results, namespaceResult(seen.namespace, namespace)];
  for (const result of all) gateway.record(result);
  requirePassed(all);
}

export function isSynthetic(address: string): boolean {
  return isIPv4(address) && /^198\.1[89]\./.test(address);
}

function namespaceResult(seen: string, expected: string): ProbeResult {
  const passed = seen === expected;
  return { kind: 'probe', name: 'namespace', passed, detail: `looked from ${seen}` };
}

/** Raw addresses outside, the host's own addresses, and its listeners; then the resolver, by two servers. */
export function probePlan(gateway: GatewayPort): ProbePlan {
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
    servers: [LINK.gateway4, OUTSIDE.resolver],
    reservedName: gateway.probe.reservedName,
    deniedName: gateway.probe.deniedName,
  };
}
