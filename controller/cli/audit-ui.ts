/**
 * `sand audit ui [RUN]`: serves the audit page on 127.0.0.1 until it is interrupted. Decides what the terminal is told;
 * who may ask and what is answered is `controller/audit-ui/`.
 */
import { escapeJson, escapeTerminal } from '../../audit/escape.ts';
import { auditRoot, type Environment, findRun, type RunPlace } from '../../audit/runs.ts';
import type { Refusal } from '../audit-ui/access.ts';
import { Proposals } from '../audit-ui/proposals.ts';
import { createPageMaker, type PageMaker } from '../audit-ui/run-page.ts';
import { createUiServer } from '../audit-ui/server.ts';
import { announceListener } from '../gateway/host-listeners.ts';
import { usage } from '../run/options.ts';
import { readCeilings } from './policy/surroundings.ts';
import { chooseRun } from './run-choice.ts';

export interface AuditUiOptions {
  /** A run id or its beginning, or a guest; without it, the last run whenever the page is opened. */
  readonly run: string | undefined;
  /** Decimal text; absent: any free port. */
  readonly port: string | undefined;
  readonly json: boolean;
  readonly env: Environment;
  /** Where policy files are found, and new ones made. */
  readonly cwd: string;
  readonly write: (text: string) => void;
  /** For people. */
  readonly tell: (text: string) => void;
  /** Ends the serving. */
  readonly signal: AbortSignal;
  /** In the place of the pages of the package. */
  readonly pages?: PageMaker;
}

const ALARMS: Partial<Readonly<Record<Refusal, string>>> = {
  'token-used':
    'somebody opened the link a second time and was refused; was it not you, end this with Ctrl-C',
  'too-many-guesses': 'somebody guesses links; for a minute every link is refused',
};

/** Always 0. Raises `usage`, `run-missing`, `port-in-use`, `port-refused`. */
export async function serveAuditUi(options: AuditUiOptions): Promise<number> {
  const { env, cwd, write, tell, signal } = options;
  const root = auditRoot(env);
  const port = parsePort(options.port);
  const chosen = options.run === undefined ? null : await chooseRun({ env, run: options.run });
  const nowMs = Date.now;
  const told = (text: string) => tell(`sand: ${escapeTerminal(text)}\n`);
  const server = await createUiServer({
    root,
    port,
    nowMs,
    first: () => (chosen === null ? lastRun(root) : Promise.resolve(chosen)),
    pages: options.pages ?? (await createPageMaker(nowMs)),
    proposals: new Proposals({
      root,
      cwd,
      nowMs,
      told,
      ceilings: () => readCeilings({ cwd, environ: env }),
    }),
    alarmed: (refusal) => told(ALARMS[refusal] ?? refusal),
  });
  let takeBack = () => {};
  try {
    // Before anybody has the link: no guest is given a connection here.
    takeBack = announceListener(root, server.port);
    if (options.json) write(`${escapeJson(JSON.stringify({ url: server.link }))}\n`);
    else {
      write(`${server.link}\n`);
      tell('sand: open this link in a browser of this machine; it is good once. Ctrl-C ends the page\n');
    }
    await ended(signal);
  } finally {
    await server.close();
    takeBack();
  }
  return 0;
}

async function lastRun(root: string): Promise<RunPlace | null> {
  const found = await findRun(root);
  return found.kind === 'found' ? found.run : null;
}

function parsePort(text: string | undefined): number {
  if (text === undefined) return 0;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port >= 1024 && port <= 65_535) return port;
  throw usage(`--port ${text}: there is no such port to serve on`, 'write a port from 1024 to 65535');
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
