/**
 * Finds one event of a run for `sand why RUN#SEQ`, with what belongs to it: how its connection ended, and under which
 * policy it was decided. What a log says is text of strangers: names are parsed anew here.
 */
import { readFileSync } from 'node:fs';
import type { AuditEvent } from '../../audit/event.ts';
import { readAuditLog } from '../../audit/read.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { parseAddress } from '../../policies/address.ts';
import { compilePolicy } from '../../policies/compile.ts';
import { evaluateName } from '../../policies/evaluate.ts';
import { parseHost } from '../../policies/hostname.ts';
import type { CompiledPolicy, EgressRequest, IpAddress, PolicyInForce } from '../../policies/model.ts';
import { PROTOCOLS } from '../../policies/port-range.ts';
import { parseRequestPath } from '../../policies/request-path.ts';
import { SandError } from '../errors.ts';
import { usage } from '../run/options.ts';
import { createPolicyReader } from '../run/policy-reader.ts';

type EventOf<K extends AuditEvent['kind']> = Extract<AuditEvent, { readonly kind: K }>;
export type Decided = EventOf<'connection'> | EventOf<'dns'> | EventOf<'unplanted'>;

export interface FoundEvent {
  readonly decided: Decided;
  /** Of a connection that has ended. */
  readonly close: EventOf<'close'> | null;
  readonly start: EventOf<'run-start'> | null;
}

/** `RUN#SEQ`, or `SEQ` of the last run; null for anything else. */
export function parseEventName(
  text: string,
): { readonly run: string | undefined; readonly seq: number } | null {
  const match = /^(?:([0-9a-z-]{1,20})#)?([1-9]\d{0,14})$/.exec(text);
  return match === null ? null : { run: match[1], seq: Number(match[2]) };
}

/** Raises `run-missing` for a number that the log does not have, `usage` for an event that decides nothing. */
export async function findEvent(run: RunPlace, seq: number): Promise<FoundEvent> {
  let start: FoundEvent['start'] = null;
  let decided: Decided | null = null;
  let asked: AuditEvent | null = null;
  let close: FoundEvent['close'] = null;
  // Of every connection the decision, until its close: the proxy admits a bounded number at a time.
  const open = new Map<number, EventOf<'connection'>>();
  for await (const line of readAuditLog(run.auditPath)) {
    if (!line.ok) continue;
    const { event } = line;
    if (event.kind === 'run-start') start ??= event;
    if (event.kind === 'connection' && event.seq <= seq) open.set(event.connection, event);
    if (event.seq === seq) {
      asked = event;
      if (event.kind === 'close') decided = open.get(event.connection) ?? null;
      else if (isDecided(event)) decided = event;
    }
    if (event.kind !== 'close') continue;
    if (decided?.kind === 'connection' && event.connection === decided.connection && event.seq >= seq) {
      close ??= event;
      break;
    }
    open.delete(event.connection);
  }
  if (asked === null) {
    const hint = `list its events with \`sand audit tail --no-follow ${run.id}\``;
    throw new SandError('run-missing', `the run ${run.id} has no event ${seq}`, hint);
  }
  if (decided === null) {
    throw usage(
      `event ${seq} is a ${asked.kind}, and nothing was decided there`,
      'name a dns, connection or unplanted event',
    );
  }
  return { decided, close, start };
}

function isDecided(event: AuditEvent): event is Decided {
  return event.kind === 'connection' || event.kind === 'dns' || event.kind === 'unplanted';
}

/** What was asked, as the evaluator takes it; null where the name in the log is no name. */
export function requestOf(event: Decided, inForce: PolicyInForce, nowMs: number): EgressRequest | null {
  const text = event.kind === 'dns' ? event.name : event.host;
  const host = parseHost(text.includes(':') && !text.startsWith('[') ? `[${text}]` : text);
  if (!host.ok) return null;
  if (event.kind === 'dns') {
    if (host.value.kind !== 'name') return null;
    return {
      authority: { host: host.value, port: lookupPort(inForce, host.value.name, nowMs) },
      protocol: null,
    };
  }
  if (event.port < 1) return null;
  const authority = { host: host.value, port: event.port };
  if (event.kind === 'unplanted') return { authority, protocol: null };
  const { protocol, method, path } = event;
  if (method === undefined || path === undefined) return { authority, protocol };
  return { authority, protocol, http: { method, path: parseRequestPath(path) } };
}

/** A name is looked up for some port: one that is allowed there, else the web's. */
function lookupPort(inForce: PolicyInForce, name: Parameters<typeof evaluateName>[1], nowMs: number): number {
  const [grant] = evaluateName(inForce, name, nowMs).grants;
  const ports = grant === undefined ? [] : [...PROTOCOLS].reverse().flatMap((one) => grant.ports[one]);
  const preferred = grant?.ports.https[0] ?? ports[0];
  return preferred?.from ?? 443;
}

/** What the name was known to lead to. */
export function addressesOf({ decided, close }: FoundEvent): readonly IpAddress[] {
  if (decided.kind !== 'connection') return [];
  const refused = / is at (\S+)$/.exec(decided.detail ?? '')?.[1];
  const texts = [decided.address, close?.address, refused].filter((text) => text !== undefined);
  return [...new Set(texts)].flatMap((text) => {
    const address = parseAddress(text);
    return address.ok ? [address.value] : [];
  });
}

/** The policy as the run kept it, in the phase that decided; null where it is not there or is another. */
export function recordedPolicy(run: RunPlace, digest: string): CompiledPolicy | null {
  let text: Buffer;
  try {
    text = readFileSync(run.policyPath);
  } catch {
    return null;
  }
  const reader = createPolicyReader(run.directory);
  const request = { kind: 'text', text, file: run.policyPath, directory: run.directory } as const;
  const compiled = compilePolicy([request], reader);
  return compiled.ok ? phaseWith(compiled.value, digest) : null;
}

/** The policy, or the one of its phases, that has this digest. */
export function phaseWith(policy: CompiledPolicy, digest: string): CompiledPolicy | null {
  if (policy.digest === digest) return policy;
  return policy.phases?.find((phase) => phase.policy.digest === digest)?.policy ?? null;
}
