/**
 * Runs the real `sand` command for the end-to-end tests: as the tests' own user, or as an ordinary one when
 * they run as root; in a workspace and with a state folder of its own, which are removed afterwards.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import type { AuditEvent } from '../../audit/event.ts';
import { readAuditLog } from '../../audit/read.ts';
import { auditRoot, findRun } from '../../audit/runs.ts';

export const SAND = join(inject('sandPackage'), 'controller/bin/sand.js');
export const NODE = inject('sandNode');
/** Longer than any run of these tests takes on a loaded machine. */
const RUN_DEADLINE_MS = 60_000;
/** An ordinary user without a passwd line of its own. */
const ORDINARY_UID = 54_321;

export interface RunOutput {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

export interface World {
  readonly root: string;
  readonly workspace: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Writes a file below the workspace, owned by the world's user. */
  file(name: string, content: string): string;
  start(args: readonly string[], options?: StartOptions): ChildProcess;
  sand(args: readonly string[], options?: StartOptions): Promise<RunOutput>;
  /** The events of the last run, the log read back. */
  events(): Promise<readonly AuditEvent[]>;
  remove(): void;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** A program and its arguments that become `sand`, such as `prlimit` with a limit. */
  readonly through?: readonly string[];
  /** Further descriptors, from 3 on. */
  readonly descriptors?: readonly number[];
  /** When the run is killed; absent: `RUN_DEADLINE_MS`. */
  readonly deadlineMs?: number;
}

export type Who = 'caller' | 'ordinary user';

/** Ordinary runs need root to become somebody else; elsewhere the caller is ordinary already. */
export const CALLERS: readonly Who[] = process.getuid?.() === 0 ? ['caller', 'ordinary user'] : ['caller'];

export function createWorld(who: Who = 'caller'): World {
  const root = mkdtempSync(join(tmpdir(), 'sand-e2e-'));
  const uid = who === 'caller' ? (process.getuid?.() ?? 0) : ORDINARY_UID;
  const folders = ['home', 'state', 'config', 'cache', 'ws'].map((name) => join(root, name));
  for (const folder of folders) mkdirSync(folder);
  const own = (path: string) => {
    if (who === 'ordinary user') chownSync(path, uid, uid);
  };
  chmodSync(root, 0o755);
  for (const path of [root, ...folders]) own(path);
  const environment = {
    PATH: `${dirname(NODE)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: join(root, 'home'),
    XDG_STATE_HOME: join(root, 'state'),
    XDG_CONFIG_HOME: join(root, 'config'),
    XDG_CACHE_HOME: join(root, 'cache'),
    LANG: 'C.UTF-8',
    ...certificates(),
  };
  const workspace = join(root, 'ws');
  const start = (args: readonly string[], options: StartOptions = {}): ChildProcess => {
    const as =
      who === 'caller' ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
    const [file, ...rest] = [...as, ...(options.through ?? []), NODE, SAND, ...args];
    return spawn(file ?? '', rest, {
      cwd: options.cwd ?? workspace,
      env: { ...environment, ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe', ...(options.descriptors ?? [])],
    });
  };
  return {
    root,
    workspace,
    environment,
    file(name, content) {
      const path = join(workspace, name);
      for (let folder = dirname(path); folder.startsWith(`${workspace}/`); folder = dirname(folder)) {
        mkdirSync(folder, { recursive: true });
        own(folder);
      }
      writeFileSync(path, content);
      own(path);
      return path;
    },
    start,
    sand: (args, options = {}) => outputOf(start(args, options), options.input ?? '', options.deadlineMs),
    async events() {
      const found = await findRun(auditRoot(environment));
      if (found.kind !== 'found') return [];
      const events: AuditEvent[] = [];
      for await (const line of readAuditLog(found.run.auditPath)) if (line.ok) events.push(line.event);
      return events;
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Waits for the end of a process that was started here; it is killed at the deadline. `input` null: its standard input stays the caller's. */
export function outputOf(
  child: ChildProcess,
  input: string | null,
  deadlineMs = RUN_DEADLINE_MS,
): Promise<RunOutput> {
  const startedAt = performance.now();
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin?.on('error', () => {});
  if (input !== null) child.stdin?.end(input);
  const deadline = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(deadline);
      resolve({ code, signal, stdout, stderr, durationMs: performance.now() - startedAt });
    });
  });
}

/** Variables that name the certificate authorities of this machine pass, as they do for a person. */
function certificates(): Readonly<Record<string, string>> {
  const names = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO'];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}
