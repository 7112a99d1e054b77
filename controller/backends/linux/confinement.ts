/** Whether a guest's network leads to its gateway and nowhere else: what is tried from its place, and what must come of it. */
import { readlinkSync } from 'node:fs';
import type { ProbeResult } from '../../../audit/event.ts';
import { SandError } from '../../errors.ts';
import type { NamespaceLink } from '../../links/namespace/link.ts';
import { judgeObservations } from '../../links/namespace/probe-verdicts.ts';
import { isSynthetic, type ProbePlan } from '../../links/probing.ts';
import type { GatewayPort } from '../backend.ts';
import { requirePassed } from '../probe-failure.ts';

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

function namespaceResult(seen: string, expected: string): ProbeResult {
  const passed = seen === expected;
  return { kind: 'probe', name: 'namespace', passed, detail: `looked from ${seen}` };
}
