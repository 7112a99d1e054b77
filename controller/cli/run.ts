/** `sand run`: flags → a session, and what is printed when it has ended. */
import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { wantsColour } from '../../audit/columns.ts';
import { formatDenials } from '../../audit/denials.ts';
import { escapeTerminal } from '../../audit/escape.ts';
import { auditRoot } from '../../audit/runs.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import { parseUpstreamFlag } from '../../dns/system-resolvers.ts';
import { createBackend } from '../backends/registry.ts';
import { cacheFolder } from '../run/cache.ts';
import {
  parseDnsPort,
  parseDuration,
  parseEnvFlag,
  parseMountFlag,
  parseShares,
  usage,
} from '../run/options.ts';
import { choosePolicy, configFolder } from '../run/policy-choice.ts';
import { runSession, type SessionRequest, type SessionResult } from '../run/session.ts';
import { processSignals } from '../run/signals.ts';
import { planWorkspace } from '../run/workspace.ts';
import { describeError, formatError } from './errors.ts';

export interface RunFlags {
  readonly policy: readonly string[];
  readonly allow: readonly string[];
  readonly mount: readonly string[];
  readonly env: readonly string[];
  readonly share: readonly string[];
  readonly cache: boolean;
  readonly workdir?: string;
  readonly timeout?: string;
  readonly dnsPort?: string;
  readonly dnsUpstream?: string;
  readonly backend: string;
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
  const request = await planSession(flags, stray, context);
  const result = await runSession(request);
  const stderr = (text: string) => void process.stderr.write(text);
  if (flags.json) context.write(`${JSON.stringify(describeRun(result))}\n`);
  reportEnd(result, stderr);
  const [failed] = result.teardown;
  return result.exitCode === 0 && failed !== undefined ? 125 : result.exitCode;
}

async function planSession(
  flags: RunFlags,
  stray: readonly string[],
  context: RunContext,
): Promise<SessionRequest> {
  const command = commandOf(stray, context.command);
  const cwd = process.cwd();
  const home = process.env.HOME ?? homedir();
  const told = (message: string) => {
    if (flags.verbose) process.stderr.write(`sand: ${message}\n`);
  };
  const workspace = planWorkspace({
    mounts: flags.mount.map(parseMountFlag),
    workdir: flags.workdir ?? null,
    cwd,
    home,
    own: [dirname(auditRoot(process.env)), configFolder(process.env, home)],
  });
  const policy = await choosePolicy({
    policies: flags.policy,
    allows: flags.allow,
    cwd,
    home,
    environ: process.env,
    told,
  });
  const terminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  return {
    backend: createBackend(flags.backend),
    ...policy,
    ...workspace,
    environment: Object.fromEntries(
      flags.env.map((text) => parseEnvFlag(text, process.env)).map(({ name, value }) => [name, value]),
    ),
    shares: parseShares(flags.share),
    cache: flags.cache ? cacheFolder(process.env, home, realpathSync(cwd)) : null,
    timeoutMs: flags.timeout === undefined ? null : parseDuration('--timeout', flags.timeout),
    dnsPort: flags.dnsPort === undefined ? 0 : parseDnsPort(flags.dnsPort),
    dnsUpstream: flags.dnsUpstream === undefined ? null : upstreamOf(flags.dnsUpstream),
    command,
    // With --json, stdout holds the one object; what the command prints there goes where people look.
    stdio: ['inherit', flags.json ? 'pipe' : 'inherit', 'inherit'],
    ...(flags.json
      ? { output: (_: 'stdout' | 'stderr', chunk: Buffer) => void process.stderr.write(chunk) }
      : {}),
    terminal,
    signals: processSignals(terminal),
    environ: process.env,
    told,
  };
}

function commandOf(
  stray: readonly string[],
  command: readonly string[] | null,
): readonly [string, ...string[]] {
  const [first, ...rest] = command ?? [];
  if (stray.length > 0) {
    throw usage(
      `${stray[0]} stands before --`,
      `write sand run [FLAGS] -- ${[...stray, ...(command ?? [])].join(' ')}`,
    );
  }
  if (first === undefined || first === '')
    throw usage('no command to run', 'write sand run [FLAGS] -- CMD [ARG...]');
  if ([first, ...rest].some((word) => word.includes('\0')))
    throw usage('the command holds a NUL', 'leave it out');
  return [first, ...rest];
}

function upstreamOf(text: string): DnsUpstream {
  const parsed = parseUpstreamFlag(text);
  if (!parsed.ok)
    throw usage(
      `--dns-upstream ${text}: ${parsed.reason}`,
      'write an address, for example 192.0.2.53 or 192.0.2.53:5300',
    );
  return parsed.value;
}

function reportEnd(result: SessionResult, stderr: (text: string) => void): void {
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
