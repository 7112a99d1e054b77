/**
 * `sand doctor`: runs the checks of this machine and of one backend, and prints them, a line a check. Decides
 * the exit code; what is checked is decided in `doctor/` and by the backend.
 */
import { escapeJson, escapeTerminal } from '../../audit/escape.ts';
import type { Finding, SandboxBackend } from '../backends/backend.ts';
import { guardCheck } from '../doctor/finding.ts';
import { checkHost, checkRuntime } from '../doctor/host.ts';

/** Every tool of a backend slow at once, each up to its own bound, stays below this. */
const BACKEND_TIMEOUT_MS = 120_000;

export interface DoctorOptions {
  readonly json: boolean;
  readonly backend: Pick<SandboxBackend, 'name' | 'probe'>;
  readonly write: (text: string) => void;
  /** The checks that are no backend's own, before and after its; those of this machine unless given. */
  readonly host?: {
    readonly runtime: () => Promise<readonly Finding[]>;
    readonly rest: () => Promise<readonly Finding[]>;
  };
}

const THIS_MACHINE = { runtime: checkRuntime, rest: () => checkHost() } as const;

/** 0 when no check failed (warnings may stand), 1 when any did. */
export async function runDoctor(options: DoctorOptions): Promise<number> {
  const { backend, host = THIS_MACHINE } = options;
  const findings = [
    ...(await host.runtime()),
    ...(await guardCheck(`backend ${backend.name}`, BACKEND_TIMEOUT_MS, () => backend.probe())),
    ...(await host.rest()),
  ];
  const fine = findings.every(({ state }) => state !== 'failed');
  if (options.json) {
    options.write(`${escapeJson(JSON.stringify({ backend: backend.name, ok: fine, findings }))}\n`);
  } else {
    for (const finding of findings) options.write(`${formatFinding(finding)}\n`);
    if (fine) options.write(`${formatFinding(notTried(backend.name))}\n`);
  }
  return fine ? 0 : 1;
}

/** For people alone: the doctor looks at what a guest needs, and leaves what it can do to who tries it. */
function notTried(backend: string): Finding {
  const remedy = `sand verify --backend ${backend}`;
  return { check: 'confinement', state: 'ok', message: 'can be tried', remedy };
}

const LABELS = { ok: 'ok  ', warning: 'warn', failed: 'FAIL' } as const;

/** One line; what tools and processes wrote into it cannot move the cursor or start another. */
export function formatFinding({ check, state, message, remedy }: Finding): string {
  const told = state === 'ok' ? `${check} ${message}` : `${check}: ${message}`;
  return escapeTerminal(`${LABELS[state]} ${told}${remedy === null ? '' : ` → ${remedy}`}`);
}
