/**
 * `sand verify`: makes the ground, starts an ordinary guest on it, has its program try every attack, and judges what the host
 * saw. Owns everything it made; how the verdicts come about is in `judgement.ts`.
 */
import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import type { AuditEvent } from '../../audit/event.ts';
import { readAuditLog } from '../../audit/read.ts';
import { auditRoot } from '../../audit/runs.ts';
import { verifyAuditLog } from '../../audit/verify.ts';
import type { Isolation, SandboxBackend } from '../backends/backend.ts';
import { createBackend } from '../backends/registry.ts';
import type { NamedAttempt, NamedObservations } from '../links/relay/named-attempts.ts';
import { RELAY_LIMITS } from '../links/relay/relay-program.ts';
import { parseUpstreams } from '../run/options.ts';
import { planRun, RUN_DEFAULTS } from '../run/plan.ts';
import { isolationOf } from '../run/run-facts.ts';
import { runSession } from '../run/session.ts';
import type { SessionResult, SignalSource } from '../run/session-request.ts';
import type { Attack, Evidence, Grounds, Row } from './attack.ts';
import { planAttacks } from './attacks.ts';
import { createGround, type Ground, PLACES } from './ground.ts';
import { PROTECTED } from './guest-attacks.ts';
import { type GuestProgram, guestProgram } from './guest-program.ts';
import { lookAtHost } from './host-look.ts';
import { createHostWatch, type HostWatch } from './host-watch.ts';
import { judge } from './judgement.ts';

export const VERIFY_LIMITS = {
  /** The slowest attempt takes six seconds; a machine under load takes a while to start a hundred of them. */
  runMs: 300_000,
  /** Lines of the log: the attacks make some three hundred. */
  events: 20_000,
} as const;

const VARIABLE = 'SAND_VERIFY_CANARY';

export interface VerifyOptions {
  readonly backend: string;
  /** Null: the backend's usual one. */
  readonly image: string | null;
  /** As for run; null: the backend's usual one. */
  readonly isolation: Isolation | null;
  /** As for run; null: the backend's own. */
  readonly link: string | null;
  readonly environ: Readonly<Record<string, string | undefined>>;
  readonly signals?: SignalSource;
  /** What the guest's program complains of, as it comes; not escaped. */
  readonly told?: (message: string) => void;
  /** In place of the backend of that name. */
  readonly launcher?: SandboxBackend;
}

/** One row for each attack. Raises what keeps a guest from starting, but for start probes that failed: those are a row. */
export async function verifyConfinement(options: VerifyOptions): Promise<readonly Row[]> {
  const backend = options.launcher ?? createBackend(options.backend, options.link ?? undefined);
  const program = guestProgram(backend.capabilities.guestSystem);
  const ground = createGround(options.environ.HOME ?? homedir());
  let watch: HostWatch | null = null;
  try {
    const token = randomBytes(8).toString('hex');
    const allowedName = `${token}.verify.example`;
    watch = await createHostWatch({ socketPath: ground.socketPath, allowedName, token });
    const grounds = groundsOf(backend, ground, watch, { token, allowedName }, options);
    const attacks = planAttacks(grounds);
    ground.writePolicy(policyText(grounds));
    ground.stageProgram(program.files(attacks.flatMap(attemptOf)));
    const { result, output } = await runGuest(options, backend, ground, watch, program, grounds);
    const evidence = await collect(result, program.parse(output), ground, watch, grounds);
    const isShown = evidence.events.some((event) => event.kind === 'probe' && !event.passed);
    if (result.error !== null && !isShown) throw result.error;
    return judge(attacks, evidence, grounds);
  } finally {
    await watch?.close();
    ground.remove();
  }
}

function groundsOf(
  backend: SandboxBackend,
  ground: Ground,
  watch: HostWatch,
  { token, allowedName }: { readonly token: string; readonly allowedName: string },
  options: VerifyOptions,
): Grounds {
  const { capabilities } = backend;
  const isolation = isolationOf({ isolation: isolationAsked(options), backend });
  return {
    link: capabilities.link,
    guestSystem: capabilities.guestSystem,
    protection: capabilities.protection,
    isolation,
    kernel: isolation === 'namespaces' ? 'host' : 'own',
    token,
    allowedName,
    canaries: watch.canaries,
    socketPath: ground.socketPath,
    agentPath: agentPath(options.environ),
    secretPaths: ground.secretPaths,
    secret: ground.secret,
    variable: randomBytes(16).toString('hex'),
    logFolder: auditRoot(options.environ),
    webPort: watch.webPort,
    tlsPort: watch.tlsPort,
    servePort: watch.servePort,
    ...PLACES[capabilities.guestSystem],
  };
}

function isolationAsked({ isolation }: VerifyOptions): Isolation {
  return isolation ?? RUN_DEFAULTS.isolation;
}

/** One that an attempt can name: its words are parted by spaces. */
function agentPath({ SSH_AUTH_SOCK: path = '' }: VerifyOptions['environ']): string | null {
  return /^\/[\x21-\x7e]{1,100}$/.test(path) ? path : null;
}

function attemptOf({ id, attempt }: Attack): readonly NamedAttempt[] {
  return attempt === null ? [] : [{ id, attempt }];
}

/** One name, on the ports of verify's own servers. */
function policyText({ allowedName, webPort, tlsPort }: Grounds): string {
  return `version: 1
name: sand-verify
rules:
  - allow: ${allowedName}
    http: [${webPort}]
    https: [${tlsPort}]
    addresses: [127.0.0.1]
`;
}

async function runGuest(
  options: VerifyOptions,
  backend: SandboxBackend,
  ground: Ground,
  watch: HostWatch,
  program: GuestProgram,
  { variable, workspace, program: place }: Grounds,
): Promise<{ readonly result: SessionResult; readonly output: string }> {
  let output = '';
  // Backends read the caller's own environment: what is in no guest has to be there.
  process.env[VARIABLE] = variable;
  try {
    const planned = await planRun({
      command: program.command(place),
      backend: options.backend,
      image: options.image,
      isolation: isolationAsked(options),
      ...(options.link === null ? {} : { link: options.link }),
      policies: [ground.policyPath],
      guarded: [`${ground.workspace}/${PROTECTED.project}`],
      mounts: [
        { source: ground.workspace, target: workspace, writable: true },
        { source: ground.programFolder, target: place, writable: false },
      ],
      cwd: ground.workspace,
      dnsUpstreams: parseUpstreams([`127.0.0.1:${watch.resolverPort}`]),
      upstreamProxy: 'none',
      timeoutMs: VERIFY_LIMITS.runMs,
      stdio: ['ignore', 'pipe', 'pipe'],
      output: (stream, chunk) => {
        // Longer than the program ever prints, it does not read.
        if (stream === 'stdout' && output.length <= RELAY_LIMITS.outputCharacters)
          output += chunk.toString('latin1');
        if (stream === 'stderr') options.told?.(chunk.toString('utf8'));
        return undefined;
      },
      environ: { ...options.environ, [VARIABLE]: variable },
      signals: options.signals ?? RUN_DEFAULTS.signals,
    });
    const result = await runSession({ ...planned, backend });
    return { result, output };
  } finally {
    delete process.env[VARIABLE];
  }
}

async function collect(
  { run }: SessionResult,
  observations: NamedObservations | null,
  ground: Ground,
  watch: HostWatch,
  { guestSystem }: Grounds,
): Promise<Evidence> {
  const events: AuditEvent[] = [];
  for await (const line of readAuditLog(run.auditPath)) {
    if (line.ok && events.length < VERIFY_LIMITS.events) events.push(line.event);
  }
  const chain = await verifyAuditLog(run.auditPath, { run: run.id });
  const logProblem = chain.intact ? (chain.ended ? null : 'it has no end') : chain.detail;
  const { visits, questions, received, servedAt } = watch;
  const { addresses, clipboard } = await lookAtHost(guestSystem);
  const host = { visits, questions, received, servedAt, files: ground.look(), addresses, clipboard };
  return { observations, host, events, logProblem };
}
