/**
 * `sand why HOST[:PORT] [METHOD PATH]` and `sand why EVENT`: the verdict, the rule that decided, what every other rule
 * makes of it, and the smallest change that would turn it.
 */
import { homedir, networkInterfaces } from 'node:os';
import { escapeJson, escapeTerminal } from '../../audit/escape.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { parseAddress } from '../../policies/address.ts';
import { explain } from '../../policies/explain/explain.ts';
import { formatAuthority, parseAuthority } from '../../policies/hostname.ts';
import { isFileName } from '../../policies/layer.ts';
import { observing } from '../../policies/learn/observing.ts';
import type {
  CompiledPolicy,
  EgressRequest,
  HttpRequest,
  IpAddress,
  PolicyInForce,
  PolicyPhase,
} from '../../policies/model.ts';
import { inPhase, phaseNames } from '../../policies/phase.ts';
import { parseRequestPath } from '../../policies/request-path.ts';
import { SandError } from '../errors.ts';
import { foundPolicies } from '../project-file/read.ts';
import { usage } from '../run/options.ts';
import { choosePolicy } from '../run/policy-choice.ts';
import { chooseRun } from './run-choice.ts';
import {
  addressesOf,
  type FoundEvent,
  findEvent,
  parseEventName,
  phaseWith,
  recordedPolicy,
  requestOf,
} from './why-event.ts';
import { type Answer, describeAnswer, formatAnswer } from './why-text.ts';

export interface WhyOptions {
  /** `HOST[:PORT]`, or an event as `RUN#SEQ` or `SEQ`. */
  readonly authority: string;
  /** A plain-HTTP request to it; both or neither. */
  readonly method?: string | undefined;
  readonly path?: string | undefined;
  /** What the name resolves to; none: not asked. */
  readonly address: readonly string[];
  readonly phase?: string | undefined;
  readonly policy: readonly string[];
  readonly allow: readonly string[];
  readonly json: boolean;
  readonly cwd: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
  readonly nowMs: number;
  readonly write: (text: string) => void;
  /** For people; never part of what a program reads. */
  readonly tell: (text: string) => void;
}

/** The web's own ports, for a host that is asked about without one. */
const HTTPS_PORT = 443;
const HTTP_PORT = 80;

/** 0 where it is allowed, 1 where it is not. Raises `usage`, `run-missing`, and what a policy can raise. */
export async function explainRequest(options: WhyOptions): Promise<number> {
  const event = parseEventName(options.authority);
  const answer = event === null ? await answerHost(options) : await answerEvent(event, options);
  options.write(
    options.json ? `${escapeJson(JSON.stringify(describeAnswer(answer)))}\n` : formatAnswer(answer),
  );
  return answer.explanation?.decision === 'allow' ? 0 : 1;
}

async function answerHost(options: WhyOptions): Promise<Answer> {
  const http = readRequest(options);
  const authority = parseAuthority(options.authority, http === null ? HTTPS_PORT : HTTP_PORT);
  if (!authority.ok) {
    throw usage(
      `${options.authority}: ${authority.reason}`,
      'write for example sand why api.example.com:443, or sand why 12 for an event of the last run',
    );
  }
  const chosen = await choose(options, options.policy, options.allow);
  const inForce = phaseOf(chosen.inForce, options.phase);
  const request: EgressRequest =
    http === null
      ? { authority: authority.value, protocol: null }
      : { authority: authority.value, protocol: 'http', http };
  return {
    asked: askedOf(request, options.path),
    explanation: explain(inForce, request, {
      nowMs: options.nowMs,
      addresses: options.address.map(readAddress),
      hostAddresses: hostAddresses(),
    }),
    layers: chosen.layers,
    digest: inForce.policy.digest,
    file: namedFile(options.policy),
    phase: chosen.inForce.policy.phases?.find(({ policy }) => policy === inForce.policy) ?? null,
    event: null,
  };
}

async function answerEvent(
  { run: name, seq }: { readonly run: string | undefined; readonly seq: number },
  options: WhyOptions,
): Promise<Answer> {
  if (options.method !== undefined) throw usage('an event has its own request', 'leave method and path out');
  const run = await chooseRun({ env: options.environ, run: name });
  const found = await findEvent(run, seq);
  const { inForce, layers, isSame, phase } = await policyOfEvent(run, found, options);
  const nowMs = isSame ? Date.parse(found.decided.time) : options.nowMs;
  const request = requestOf(found.decided, inForce, nowMs);
  const { decided } = found;
  const known = { nowMs, addresses: addressesOf(found), hostAddresses: hostAddresses() };
  return {
    asked:
      request === null
        ? decided.kind === 'dns'
          ? decided.name
          : decided.host
        : askedOf(request, pathOf(found)),
    explanation: request === null ? null : explain(inForce, request, known),
    layers,
    digest: inForce.policy.digest,
    file: namedFile(layers),
    phase,
    event: { found, run: run.id, policyIsSame: isSame },
  };
}

function pathOf({ decided }: FoundEvent): string | undefined {
  return decided.kind === 'connection' ? decided.path : undefined;
}

interface EventPolicy {
  readonly inForce: PolicyInForce;
  readonly layers: readonly string[];
  /** Whether this is the policy that decided. */
  readonly isSame: boolean;
  readonly phase: PolicyPhase | null;
}

/**
 * The policy that is named, else the one that the run was started with, as it is now; where that is another by now or
 * is gone, the one that the run kept.
 */
async function policyOfEvent(run: RunPlace, found: FoundEvent, options: WhyOptions): Promise<EventPolicy> {
  const digest = found.decided.policy;
  const isNamed = options.policy.length > 0 || options.allow.length > 0;
  const layers = found.start?.policy.layers ?? [];
  const allows = layers.flatMap((layer) => /^--allow (.+)$/.exec(layer)?.[1] ?? []);
  const policies = layers.filter((layer) => !layer.startsWith('--allow '));
  const chosen = isNamed
    ? await choose(options, options.policy, options.allow)
    : await choose(options, policies, allows).catch(ignorePolicyProblems);
  const same = chosen === null ? null : decidedBy(chosen.inForce, digest);
  if (chosen !== null && same !== null) {
    return {
      inForce: { ...chosen.inForce, policy: same },
      layers: chosen.layers,
      isSame: true,
      phase: phaseNamed(chosen.inForce, digest),
    };
  }
  if (chosen !== null && isNamed) {
    return {
      inForce: phaseOf(chosen.inForce, options.phase),
      layers: chosen.layers,
      isSame: false,
      phase: null,
    };
  }
  const kept = recordedPolicy(run, digest);
  if (kept !== null) {
    const ceilings = chosen?.inForce.ceilings ?? [];
    return { inForce: { policy: kept, ceilings }, layers: [run.policyPath], isSame: false, phase: null };
  }
  if (chosen === null) {
    const hint = 'name a policy with --policy to see what it makes of the event';
    throw new SandError('policy-missing', 'the policy of that run is gone, and it kept none', hint);
  }
  return {
    inForce: phaseOf(chosen.inForce, options.phase),
    layers: chosen.layers,
    isSame: false,
    phase: null,
  };
}

/** The policy, its phase, or what a run that learns makes of either, that has this digest. */
function decidedBy(inForce: PolicyInForce, digest: string): CompiledPolicy | null {
  return phaseWith(inForce.policy, digest) ?? phaseWith(observing(inForce).policy, digest);
}

/** Phases that say the same are one to whoever asks. */
function phaseNamed({ policy }: PolicyInForce, digest: string): PolicyPhase | null {
  return policy.phases?.find((phase) => phase.policy.digest === digest) ?? null;
}

/** What a run of long ago was started with may be gone, or wrong by now. */
function ignorePolicyProblems(error: unknown): null {
  if (error instanceof SandError && error.code.startsWith('policy-')) return null;
  throw error;
}

function choose({ cwd, environ, tell }: WhyOptions, policies: readonly string[], allows: readonly string[]) {
  const home = environ.HOME ?? homedir();
  // An explanation starts nothing: it says what the found policy means, and that a run asks first.
  const unapproved = ({ message }: SandError) =>
    tell(`sand: a run asks before it uses this: ${escapeTerminal(message)}\n`);
  const project = policies.length > 0 ? null : foundPolicies(cwd);
  const request = { policies, allows, cwd, home, environ, told: () => {}, unapproved };
  if (project === null) return choosePolicy(request);
  return choosePolicy({ ...request, policies: project.names, consented: project.reader });
}

/** A guest begins in the first phase. Raises `usage` for a phase that the policy does not have. */
function phaseOf(whole: PolicyInForce, name: string | undefined): PolicyInForce {
  const names = phaseNames(whole.policy);
  const at = name === undefined ? 0 : names.indexOf(name);
  const held = inPhase(whole, at);
  if (held !== null && (name === undefined || at >= 0)) return held;
  const known = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
  throw usage(`the policy has no phase ${name}`, `leave --phase out, or name one: ${known}`);
}

/** The one policy file that the caller named. */
function namedFile(policies: readonly string[]): string | null {
  const files = policies.filter((name) => isFileName(name) && !name.startsWith('--allow '));
  return files.length === 1 ? (files[0] ?? null) : null;
}

function askedOf({ authority, http }: EgressRequest, path: string | undefined): string {
  const named = formatAuthority(authority);
  return http === undefined ? named : `${http.method} http://${named}${path ?? ''}`;
}

/** Raises `usage` for half a request, and for what is no method or no path. */
function readRequest({ method, path }: WhyOptions): HttpRequest | null {
  if (method === undefined) return null;
  const hint = 'write for example sand why api.example.com GET /v1/users';
  if (path === undefined) throw usage(`${method}: a method needs a path`, hint);
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) throw usage(`${method}: no method`, hint);
  if (!path.startsWith('/') && path !== '*') throw usage(`${path}: a path begins with "/"`, hint);
  return { method, path: parseRequestPath(path) };
}

function readAddress(text: string): IpAddress {
  const address = parseAddress(text);
  if (address.ok) return address.value;
  throw usage(`--address ${text}: ${address.reason}`, 'write for example --address 10.1.2.3');
}

function hostAddresses(): readonly IpAddress[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .flatMap(({ address }) => {
      const parsed = parseAddress(address);
      return parsed.ok ? [parsed.value] : [];
    });
}
