/** `sand run`: flags → a session, and what is printed when it has ended. */
import { join } from 'node:path';
import { wantsColour } from '../../audit/columns.ts';
import { formatDenials } from '../../audit/denials.ts';
import { escapeTerminal } from '../../audit/escape.ts';
import { DEFAULT_BACKEND, DEFAULT_ISOLATION } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import type { GuestRecord } from '../guests/registry.ts';
import { parsePlatform } from '../images/platform-flag.ts';
import { parseMetricsPlace } from '../metrics/place.ts';
import { parseResourceFlags } from '../resources/flags.ts';
import { parseAuditKeyFlag } from '../run/audit-key.ts';
import {
  parseDisplay,
  parseDnsPort,
  parseDuration,
  parseEnvFlag,
  parseIsolation,
  parseMountFlag,
  parseShares,
  parseUpstreams,
  usage,
} from '../run/options.ts';
import { planRun, type RunRequest } from '../run/plan.ts';
import { parsePortFlags } from '../run/port-flag.ts';
import { parseSecretFlags } from '../run/secret-flag.ts';
import { runSession } from '../run/session.ts';
import type { SessionResult } from '../run/session-request.ts';
import { processSignals } from '../run/signals.ts';
import { workingFolder } from '../run/workspace.ts';
import { parseVolumeFlag } from '../volumes/volume-flag.ts';
import { planAsking } from './ask-front.ts';
import { describeError, formatError } from './errors.ts';
import { withProject } from './run-project.ts';

export interface RunFlags {
  readonly detach: boolean;
  readonly name?: string;
  readonly policy: readonly string[];
  readonly allow: readonly string[];
  readonly learn: boolean;
  readonly mount: readonly string[];
  readonly volume: readonly string[];
  readonly env: readonly string[];
  readonly phaseAfter: readonly string[];
  readonly publish: readonly string[];
  readonly secret: readonly string[];
  readonly auditKey?: string;
  readonly share: readonly string[];
  readonly trustCa: readonly string[];
  readonly ask: boolean;
  readonly cache?: boolean;
  readonly image?: string;
  readonly platform?: string;
  readonly isolation?: string;
  readonly user?: string;
  readonly readOnly?: boolean;
  readonly vnc?: boolean;
  readonly display?: string;
  readonly link?: string;
  readonly workdir?: string;
  readonly timeout?: string;
  readonly cpus?: string;
  readonly memory?: string;
  readonly pids?: string;
  readonly disk?: string;
  readonly dnsPort?: string;
  readonly dnsUpstream: readonly string[];
  readonly upstreamProxy?: string;
  readonly metrics?: string;
  readonly backend?: string;
  /** False: `--no-project-file`. */
  readonly projectFile?: string | false;
  readonly json: boolean;
  readonly verbose: boolean;
}

export interface RunContext {
  readonly command: readonly string[] | null;
  readonly write: (text: string) => void;
}

/** Gives the exit code of `sand run`. */
export async function runCommandLine(
  flags: RunFlags,
  stray: readonly string[],
  context: RunContext,
): Promise<number> {
  if (flags.detach) return runDetached(flags, commandOf(stray, context.command), context);
  // Only a run that learns loads what writes policies.
  const learning = flags.learn ? await import('./run-learn.ts') : null;
  const asked = await readRun(flags, commandOf(stray, context.command));
  learning?.checkPlace(asked.policies);
  const request = await planRun(asked);
  const result = await runSession(request);
  if (flags.json) context.write(`${JSON.stringify(describeRun(result))}\n`);
  reportEnd(result, (text) => void process.stderr.write(text));
  await learning?.learnAfter(result.run.id, asked.policies);
  const [failed] = result.teardown;
  return result.exitCode === 0 && failed !== undefined ? 125 : result.exitCode;
}

/** Everything that a person is told of or asked is settled here; the supervisor then reads the same flags again. */
async function runDetached(
  flags: RunFlags,
  command: readonly string[],
  context: RunContext,
): Promise<number> {
  if (flags.learn) {
    const hint = 'learn from its log when it has ended: sand policy learn RUN';
    throw usage('--learn is for a run in the foreground', hint);
  }
  await planRun({ ...(await readRun(flags, command)), ready: () => {} });
  const { startSupervisor } = await import('../run/supervisor.ts');
  const { name, run } = await startSupervisor({ flags, command }, (text) => void process.stderr.write(text));
  context.write(flags.json ? `${JSON.stringify({ guest: name, run })}\n` : `${name}\n`);
  return 0;
}

/** In the process that `runDetached` starts: runs to the guest's end, and tells on `write` when it is up, or why not. */
export async function superviseRun(context: RunContext): Promise<number> {
  const { formatReply, readSupervisorRequest, replyOf } = await import('../run/supervisor.ts');
  const { flags, command } = await readSupervisorRequest();
  // The text is of this same program's making.
  const said = flags as RunFlags;
  let isUp = false;
  const ready = ({ name, run }: GuestRecord) => {
    isUp = true;
    context.write(formatReply({ ok: true, name, run: run.id }));
  };
  // Its terminal is gone, which is no reason to end.
  process.on('SIGHUP', () => {});
  try {
    const plan = await planRun({
      ...(await readRun(said, command as readonly string[])),
      stdio: ['ignore', 'pipe', 'pipe'],
      terminal: false,
      signals: processSignals(false, ['SIGHUP']),
      ready,
    });
    const result = await runSession(plan);
    if (!isUp && result.error !== null) context.write(formatReply(replyOf(result.error)));
    return result.exitCode;
  } catch (error) {
    if (!isUp && error instanceof SandError) context.write(formatReply(replyOf(error)));
    throw error;
  }
}

/** What flags and project file ask for, for `planRun`. Raises what either can be wrong in. */
export async function readRun(flags: RunFlags, command: readonly string[]) {
  return withProject(readFlags(flags, command), flags);
}

function readFlags(flags: RunFlags, command: readonly string[]) {
  const variables = flags.env.map((text) => parseEnvFlag(text, process.env));
  const { front, stdio, terminal, free } = planAsking(
    { ask: flags.ask, ci: (process.env.CI ?? '') !== '', json: flags.json },
    process,
    (text) => void process.stderr.write(text),
  );
  const show = (stream: 'stdout' | 'stderr', chunk: Buffer): void => {
    const target = stream === 'stdout' && !flags.json ? process.stdout : process.stderr;
    target.write(chunk);
  };
  return {
    command,
    name: flags.name ?? null,
    phaseAfter: flags.phaseAfter,
    policies: flags.policy,
    allow: flags.allow,
    learn: flags.learn,
    mounts: flags.mount.map(parseMountFlag),
    image: flags.image ?? null,
    platform: flags.platform === undefined ? null : parsePlatform(flags.platform),
    volumes: flags.volume.map(parseVolumeFlag),
    workdir: flags.workdir ?? null,
    environment: Object.fromEntries(variables.map(({ name, value }) => [name, value])),
    ports: parsePortFlags(flags.publish),
    secrets: parseSecretFlags(flags.secret),
    auditKey: flags.auditKey === undefined ? null : parseAuditKeyFlag(flags.auditKey),
    shares: parseShares(flags.share),
    trustCa: flags.trustCa,
    cache: flags.cache ?? false,
    isolation: parseIsolation(flags.isolation ?? DEFAULT_ISOLATION),
    user: flags.user ?? null,
    readOnly: flags.readOnly ?? false,
    ...screenOf(flags),
    ...(flags.link === undefined ? {} : { link: flags.link }),
    timeoutMs: flags.timeout === undefined ? null : parseDuration('--timeout', flags.timeout),
    resources: parseResourceFlags(flags),
    dnsPort: flags.dnsPort === undefined ? 0 : parseDnsPort(flags.dnsPort),
    dnsUpstreams: parseUpstreams(flags.dnsUpstream),
    upstreamProxy: flags.upstreamProxy ?? null,
    metrics: flags.metrics === undefined ? null : parseMetricsPlace(flags.metrics, workingFolder()),
    backend: flags.backend ?? DEFAULT_BACKEND,
    ask: front,
    stdio,
    // A question stands alone on the terminal: what the guest prints meanwhile waits.
    output: (stream, chunk) => {
      const waiting = free();
      if (waiting !== undefined) return waiting.then(() => show(stream, chunk));
      show(stream, chunk);
      return undefined;
    },
    terminal,
    signals: processSignals(terminal),
    told: (message) => {
      if (flags.verbose) process.stderr.write(`sand: ${message}\n`);
    },
    say: (message) => void process.stderr.write(`sand: ${escapeTerminal(message)}\n`),
  } satisfies Partial<RunRequest>;
}

export function commandOf(
  stray: readonly string[],
  command: readonly string[] | null,
  name: 'run' | 'ci' = 'run',
): readonly string[] {
  if (stray.length === 0) return command ?? [];
  const whole = [...stray, ...(command ?? [])].join(' ');
  throw usage(`${stray[0]} stands before --`, `write sand ${name} [FLAGS] -- ${whole}`);
}

/** On stderr, for people: notices, what was denied, what went wrong. */
export function reportEnd(result: SessionResult, stderr: (text: string) => void): void {
  if (result.exitCode === 127 && result.error === null && result.cause === 'exit') {
    stderr('sand: the guest says that a command was not found; see its PATH with `sand run -- env`\n');
  }
  for (const notice of result.notices) stderr(`sand: ${escapeTerminal(notice)}\n`);
  const terminal = {
    columns: process.stderr.columns ?? null,
    colour: wantsColour(process.stderr, process.env),
  };
  stderr(formatDenials(result.rows, { run: result.run.id, terminal }));
  if (result.cause === 'timeout') stderr(`sand: the command was ended by --timeout\n`);
  for (const error of [result.error, ...result.teardown]) {
    if (error !== null) stderr(formatError(error));
  }
}

function describeRun(result: SessionResult) {
  return {
    run: result.run.id,
    log: join(result.run.directory, 'audit.jsonl'),
    exitCode: result.exitCode,
    cause: result.cause,
    durationMs: result.durationMs,
    notices: result.notices,
    decisions: result.rows,
    error: result.error === null ? null : describeError(result.error),
    teardown: result.teardown.map(describeError),
  };
}

function screenOf({ vnc = false, display }: RunFlags): Pick<RunRequest, 'screen'> {
  if (!vnc && display === undefined) return {};
  return { screen: { isShown: vnc, size: display === undefined ? null : parseDisplay(display) } };
}
