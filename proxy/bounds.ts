/**
 * What a guest may use at this moment: what its policy states, else the proxy's own numbers, and never more
 * than a ceiling states. Pure; who counts is `ledger.ts`.
 */
import { leastOf } from '../policies/guest-limits.ts';
import type { PolicyInForce, PolicyLimits } from '../policies/model.ts';
import type { ProxyLimits } from './limits.ts';

/** Infinite where nothing limits. */
export interface Bounds {
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly requestBurst: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly headBytes: number;
  readonly bodyBytes: number;
  readonly idleMs: number;
  readonly totalMs: number;
}

export function boundsOf({ policy, ceilings }: PolicyInForce, limits: ProxyLimits): Bounds {
  const bound = (field: keyof PolicyLimits, own: number | null): number =>
    leastOf([policy.limits[field] ?? own, ...ceilings.map((ceiling) => ceiling.limits[field])]) ??
    Number.POSITIVE_INFINITY;
  const requestsPerSecond = bound('requestsPerSecond', limits.requestsPerSecond);
  return {
    connections: bound('connections', limits.connections),
    requestsPerSecond,
    // As many seconds' worth as without a policy's number, and never less than one request.
    requestBurst: Math.max(1, (requestsPerSecond / limits.requestsPerSecond) * limits.requestBurst),
    bytesOut: bound('bytesOut', limits.bytesOut),
    bytesIn: bound('bytesIn', limits.bytesIn),
    headBytes: bound('headBytes', limits.headBytes),
    bodyBytes: bound('bodyBytes', limits.bodyBytes),
    idleMs: bound('idleMs', limits.idleTimeoutMs),
    totalMs: bound('totalMs', limits.totalTimeoutMs),
  };
}
