/**
 * What a run says of itself: the first line of its log, what `--verbose` tells; and whether its backend
 * offers what its policy requires. Decides no policy.
 */
import { AUDIT_SCHEMA_VERSION, type AuditEntry, type ImageFact } from '../../audit/event.ts';
import { redactCommand, redactText } from '../../audit/redact.ts';
import type { PolicyInForce } from '../../policies/model.ts';
import { confiningPolicy, type Isolation, isWeaker, requiredIsolation } from '../../policies/requirements.ts';
import type { SandboxBackend } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { describeParents } from '../gateway/parent-proxy.ts';
import type { GuestRecord } from '../guests/registry.ts';
import { VERSION } from '../version.ts';
import type { PolicyCourse } from './policy-course.ts';
import { formatPlace } from './port-flag.ts';
import type { SessionRequest } from './session-request.ts';

export function runStart(
  request: SessionRequest,
  { name: guest, run }: GuestRecord,
  { inForce, position }: PolicyCourse,
): AuditEntry {
  const { policy } = inForce;
  const { phase, phases } = position;
  const { capabilities, name } = request.backend;
  return {
    kind: 'run-start',
    schema: AUDIT_SCHEMA_VERSION,
    run: run.id,
    ...(guest === run.id ? {} : { name: guest }),
    sand: VERSION,
    node: process.version,
    backend: name,
    isolation: isolationOf(request),
    confinement: capabilities.confinement,
    attribution: capabilities.processAttribution.includes(isolationOf(request)) ? 'process' : 'none',
    ...imageFact(request),
    command: redactCommand(request.command),
    policy: {
      name: policy.name,
      digest: policy.digest,
      mode: policy.mode,
      layers: request.layers,
      ...(phase === null ? {} : { phases, phase }),
    },
    workdir: request.workdir,
    ...((request.secrets ?? []).length === 0
      ? {}
      : { secrets: request.secrets?.map(({ name }) => name) ?? [] }),
    ...(request.before.length === 0 ? {} : { before: request.before.map(redactText) }),
  };
}

/** Nothing where the guest sees the host's system. */
export function imageFact({ image }: Pick<SessionRequest, 'image'>): { readonly image?: ImageFact } {
  return image === undefined ? {} : { image: { name: image.name, digest: image.digest } };
}

type OfferingRequest = Pick<SessionRequest, 'isolation' | 'backend'>;

/** What stands between its guest and the host's kernel: what was asked for, else what the backend's guests have. */
export function isolationOf({ isolation, backend }: OfferingRequest): Isolation {
  return isolation === 'namespaces' ? backend.capabilities.isolation : isolation;
}

/** What the policy and the ceilings require of a guest, before anything runs in it and whenever it gets another policy. */
export function requireOffer(inForce: PolicyInForce, request: OfferingRequest): void {
  requireConfinement(inForce, request.backend);
  requireWatching(inForce, request.backend);
  requireIsolation(inForce, isolationOf(request));
}

/** Fail closed: a policy that wants enforcement is not run where the guest would merely be asked. */
export function requireConfinement(inForce: PolicyInForce, backend: SandboxBackend): void {
  const { confinement, link } = backend.capabilities;
  const wanted = confiningPolicy(inForce);
  if (wanted === null || confinement === 'enforced') return;
  const has = backend.links === undefined ? '' : `, with the link ${link},`;
  const reached = (backend.inReach ?? []).map((what) => `; besides its gateway such a guest reaches ${what}`);
  throw new SandError(
    'confinement-required',
    `the policy ${wanted.name} requires enforced confinement, and the ${backend.name} backend${has} only asks its guests${reached.slice(0, 1).join('')}`,
    backend.links === undefined
      ? 'use a backend that enforces, or a policy without `requires: {confinement: enforced}`'
      : 'leave out --link, or use a policy without `requires: {confinement: enforced}`',
  );
}

/** Fail closed: where nothing that a policy refuses is kept from a guest, it is given none that refuses. */
export function requireWatching({ policy, ceilings }: PolicyInForce, backend: SandboxBackend): void {
  if (backend.watchesOnly !== true) return;
  const all = [policy, ...(policy.phases ?? []).map((phase) => phase.policy), ...ceilings];
  const strict = all.find(({ mode }) => mode !== 'report');
  if (strict === undefined) return;
  throw new SandError(
    'confinement-required',
    `--link ${backend.capabilities.link} keeps nothing from a guest, and the policy ${strict.name} is there to refuse`,
    'leave out --link; or watch what it wants with --learn, or under a policy with `mode: report`',
  );
}

/** What a guest reaches past its gateway, for its log and whoever starts it; null: nothing. */
export function describeReach({ capabilities, inReach = [] }: SandboxBackend): string | null {
  const { confinement, link } = capabilities;
  if (confinement === 'enforced') return null;
  return `confinement is ${confinement} (link ${link}): past its gateway, without a record, this guest reaches ${inReach.join('; ') || 'what its backend leaves open'}`;
}

/** Fail closed: a policy that wants a stronger wall is not run behind a weaker one. */
export function requireIsolation(inForce: PolicyInForce, isolation: Isolation): void {
  const wanted = requiredIsolation(inForce);
  if (wanted === null || !isWeaker(isolation, wanted.isolation)) return;
  throw new SandError(
    'isolation-required',
    `the policy ${wanted.by.name} requires isolation ${wanted.isolation} at least, and the isolation of this guest is ${isolation}`,
    `start the guest with \`--isolation ${wanted.isolation}\`, or under another policy`,
  );
}

/** Fail closed: who wants to be reached is not started where nobody can. */
export function requireWayIn({ backend, ports = [] }: SessionRequest): void {
  if (ports.length === 0 || backend.capabilities.publishedPorts) return;
  throw new SandError(
    'backend-unavailable',
    `the link of the ${backend.name} backend has no way in, so -p cannot publish a port`,
    'use another backend, or leave out -p',
  );
}

/** Fail closed: who wants to look at a guest is not given one without a screen. */
export function requireScreen({ backend, screen }: Pick<SessionRequest, 'backend' | 'screen'>): void {
  if (screen === undefined || backend.capabilities.screen) return;
  throw new SandError(
    'backend-unavailable',
    `guests of the ${backend.name} backend have no screen`,
    'leave out --vnc and --display, or name a backend whose guests have one',
  );
}

/** Fail closed: a guest is not started on another link than was asked for. */
export function requireLink({ backend, link }: Pick<SessionRequest, 'backend' | 'link'>): void {
  const { link: own } = backend.capabilities;
  if (link === undefined || link === own) return;
  throw new SandError(
    'backend-unavailable',
    `--link ${link}: guests of the ${backend.name} backend are not given it`,
    backend.links === undefined
      ? `leave out --link: its guests have the link ${own}`
      : `write one of: ${backend.links.join(', ')}`,
  );
}

export function tellGateway(request: SessionRequest, gateway: Gateway): void {
  request.told(`resolver on 127.0.0.1 port ${gateway.dnsPort} (dig -p ${gateway.dnsPort} @127.0.0.1 NAME)`);
  for (const place of request.parents === null ? [] : describeParents(request.parents))
    request.told(`parent proxy ${place}`);
  for (const { address, hostPort, guestPort } of gateway.published)
    request.told(`published ${formatPlace(address, hostPort)} to port ${guestPort} of the guest`);
  request.told(`ports planted for the guest: ${gateway.ports.join(', ')}`);
}
