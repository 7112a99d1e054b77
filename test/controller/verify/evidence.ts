/** Grounds and evidence for tests: a guest in which everything held, to be spoilt by each. */
import type { AuditEvent } from '../../../audit/event.ts';
import type { NamedObservations } from '../../../controller/links/relay/named-attempts.ts';
import type { RelayObservation } from '../../../controller/links/relay/relay-program.ts';
import type { Attack, Evidence, Grounds, HostEvidence } from '../../../controller/verify/attack.ts';
import { planAttacks } from '../../../controller/verify/attacks.ts';
import { ERRNO } from '../../../controller/verify/errno.ts';

export const GROUNDS: Grounds = {
  link: 'relay',
  guestSystem: 'linux',
  protection: 'held',
  isolation: 'vm',
  kernel: 'own',
  token: '0123456789abcdef',
  canaries: [
    { address: '127.0.0.1', port: 40_001 },
    { address: '::1', port: 40_002 },
    { address: '192.0.2.2', port: 40_003 },
  ],
  socketPath: '/tmp/host.sock',
  agentPath: '/tmp/agent.sock',
  secretPaths: ['/tmp/secret', '/home/u/.secret'],
  secret: 'fedcba9876543210',
  variable: 'aaaabbbbccccdddd',
  logFolder: '/home/u/.local/state/sand/runs',
  allowedName: '0123456789abcdef.verify.example',
  webPort: 41_001,
  tlsPort: 41_002,
  servePort: 41_003,
  workspace: '/sand-verify',
  program: '/sand-verify-program',
};

export const ATTACKS = planAttacks(GROUNDS);

/** Of a guest that is root of a machine of its own, on a cable. */
export const MACHINE_GROUNDS: Grounds = {
  ...GROUNDS,
  link: 'ethernet',
  guestSystem: 'macos',
  protection: 'restored',
  workspace: '/opt/sand-verify',
  program: '/opt/sand-verify-program',
};
export const MACHINE_ATTACKS = planAttacks(MACHINE_GROUNDS);

export function attackOf(id: string): Attack {
  const found = ATTACKS.find((attack) => attack.id === id);
  if (found === undefined) throw new Error(`no attack ${id}`);
  return found;
}

export interface Spoilt {
  readonly host?: Partial<HostEvidence>;
  readonly seen?: Readonly<Record<string, readonly RelayObservation[] | null>>;
  readonly events?: readonly AuditEvent[];
  readonly observations?: NamedObservations | null;
  readonly logProblem?: string;
}

/** `seen` null: the guest says nothing of that attack. */
export function evidenceOf(spoilt: Spoilt = {}): Evidence {
  return evidenceFor(ATTACKS, spoilt);
}

export function evidenceFor(
  attacks: readonly Attack[],
  { host, seen = {}, events, observations, logProblem }: Spoilt = {},
): Evidence {
  const all = new Map(attacks.map((attack) => [attack.id, seenOf(attack, attacks === MACHINE_ATTACKS)]));
  for (const [id, given] of Object.entries(seen)) {
    if (given === null) all.delete(id);
    else all.set(id, given);
  }
  const files = attacks.flatMap(({ must }) =>
    must.kind === 'intact' || must.kind === 'restored' ? [[must.file, null] as const] : [],
  );
  return {
    observations: observations === undefined ? all : observations,
    host: {
      visits: [],
      questions: [],
      received: attacks.flatMap(({ must }) => (must.kind === 'served' ? [must.text] : [])),
      servedAt: [],
      files: new Map(files),
      addresses: ['192.0.2.2'],
      clipboard: 'what you copied',
      ...host,
    },
    events: events ?? attacks.flatMap(recordOf).concat(passedProbe()),
    logProblem: logProblem ?? null,
  };
}

export function failed(errno: number): RelayObservation {
  return { kind: 'try', name: 'x', argument: null, outcome: 'failed', errno };
}

export function worked(): RelayObservation {
  return { kind: 'try', name: 'x', argument: null, outcome: 'worked', errno: 0 };
}

export function sent(answer: string): RelayObservation {
  return { kind: 'send', outcome: answer === '' ? 'silent' : 'answered', answer };
}

export function refusal(reason: string): string {
  return `HTTP/1.1 403 Forbidden (sand: ${reason})\\x0d`;
}

/** As netstat of macOS has them. */
const MAC_ROUTES: readonly string[] = [
  '4 default via 198.18.0.1 dev en0',
  '4 127 via 127.0.0.1 dev lo0',
  '4 198.18/30 via link#4 dev en0',
  '4 198.18.0.1 via 2:0:73:61:6e:64 dev en0',
  '6 default via fe80::%utun0 dev utun0',
  '6 ::1 via ::1 dev lo0',
  '6 fe80::%en0/64 via link#4 dev en0',
  '6 ff02::%utun0/32 via fe80::8a2b:1%utun0 dev utun0',
];

function seenOf({ must, attempt }: Attack, isOnCable: boolean): readonly RelayObservation[] {
  switch (must.kind) {
    case 'unreachable':
      if (attempt?.kind === 'tcp') return [{ ...attempt, outcome: 'nobody', answer: '' }];
      return [failed(ERRNO.ECONNREFUSED)];
    case 'unasked':
      if (attempt?.kind === 'try') return [failed(ERRNO.ECONNREFUSED)];
      if (attempt?.kind === 'ask') return [{ ...attempt, outcome: 'not-found', addresses: [] }];
      return [sent('\\x00')];
    case 'unsent':
      return [sent(refusal('no-rule'))];
    case 'refused':
      return [sent(refusal(must.reason))];
    case 'served':
      return [sent('HTTP/1.1 200 OK')];
    case 'unserved':
      return [failed(ERRNO.ENOTCONN)];
    case 'works':
    case 'restored':
    case 'uncopied':
      return [worked()];
    case 'unbelieved':
      return [failed(ERRNO.ETIMEDOUT)];
    case 'interfaces':
      return isOnCable
        ? ['lo0 127.0.0.1 ::1', 'en0 fe80::1 198.18.0.2', 'gif0', 'utun0 fe80::2'].map((text) => ({
            kind: 'interface',
            text,
          }))
        : [{ kind: 'interface', text: 'lo' }];
    case 'routes':
      return isOnCable ? MAC_ROUTES.map((text) => ({ kind: 'route', text })) : [];
    case 'privileges':
      return ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => ({
        kind: 'status',
        name,
        value: '0000000000000000',
      }));
    default:
      return [failed(ERRNO.EPERM)];
  }
}

function recordOf({ must }: Attack): readonly AuditEvent[] {
  switch (must.kind) {
    case 'unreachable':
      return [
        event({
          kind: 'unplanted',
          transport: must.transport,
          host: must.address,
          port: must.port,
          reason: 'port-not-planted',
          count: 1,
        }),
      ];
    case 'unasked':
      return [
        event({
          kind: 'dns',
          name: must.name,
          reason: 'no-rule',
          rcode: 'NXDOMAIN',
          transport: 'udp',
          type: 'A',
        }),
      ];
    case 'refused':
      return [event({ kind: 'connection', via: 'forward', host: must.host, port: 80, reason: must.reason })];
    default:
      return [];
  }
}

function passedProbe(): AuditEvent {
  return { ...LINE, kind: 'probe', name: 'interfaces', passed: true, detail: 'lo' };
}

const LINE = { seq: 1, time: '2026-11-28T20:00:00.000Z', guest: 'g', prev: '' };

/** A refusal, of the shape that the log gives it. */
export function event(facts: Readonly<Record<string, unknown>>): AuditEvent {
  const refused = {
    asker: 'guest',
    verdict: 'deny',
    disposition: 'refused',
    rule: null,
    policy: 'sha256:00',
  };
  return { ...LINE, ...refused, ...facts } as unknown as AuditEvent;
}
