/**
 * A run in the background: a process of the same program, told what to run over its standard input, that says on its
 * standard output when commands can run in its guest, or why not. What it runs is decided by the caller's flags.
 */
import { text } from 'node:stream/consumers';
import { ERROR_CODES, type ErrorCode, SandError } from '../errors.ts';
import { startSupervisorProcess } from '../process/supervisor-process.ts';

/** The flags of a person, and a command line, which the kernel bounds at some megabytes. */
const REQUEST_BYTES = 16 * 1024 * 1024;
const REPLY_BYTES = 1024 * 1024;
/** What of its complaints is passed on where it ends without a word. */
const COMPLAINT_BYTES = 8_192;

export interface SupervisorReady {
  readonly name: string;
  readonly run: string;
}

type Reply =
  | ({ readonly ok: true } & SupervisorReady)
  | { readonly ok: false; readonly code: string; readonly message: string; readonly hint: string };

/** The hidden command that the process is started with. */
export const SUPERVISE = 'supervise';

/** Raises what the run raised before it was up. An interrupt meanwhile ends it. */
export async function startSupervisor(
  request: unknown,
  say: (text: string) => void,
): Promise<SupervisorReady> {
  const child = startSupervisorProcess(SUPERVISE, JSON.stringify(request));
  const interrupt = () => child.kill('SIGTERM');
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    if (complaint.length < COMPLAINT_BYTES) complaint += chunk;
  });
  try {
    const reply = await firstLine(child.stdout);
    const read = parseReply(reply);
    if (read?.ok === true) return { name: read.name, run: read.run };
    if (read !== null)
      throw new SandError(isCode(read.code) ? read.code : 'internal', read.message, read.hint);
    throw new SandError(
      'guest-failed',
      'the supervisor ended before its guest was up',
      'run it in the foreground, without -d, to see what happens',
      { details: { complaint } },
    );
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    if (complaint !== '') say(complaint);
    child.leave();
  }
}

/** In that process: what it was told. Raises `usage` for anything else, since only sand itself calls it. */
export async function readSupervisorRequest(): Promise<Readonly<Record<string, unknown>>> {
  const given = await text(process.stdin);
  const value = given.length > REQUEST_BYTES ? null : parseObject(given);
  if (value !== null) return value;
  throw new SandError('usage', `sand ${SUPERVISE} is for sand itself`, 'write sand run -d [FLAGS] -- CMD');
}

export function formatReply(reply: Reply): string {
  return `${JSON.stringify(reply)}\n`;
}

export function replyOf(error: SandError): Reply {
  return { ok: false, code: error.code, message: error.message, hint: error.hint };
}

function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      said += chunk;
      if (said.includes('\n') || said.length > REPLY_BYTES) resolve(said.split('\n', 1).join(''));
    });
    stream.on('close', () => resolve(said));
    stream.on('error', () => resolve(said));
  });
}

function parseReply(line: string): Reply | null {
  const value = parseObject(line);
  if (value?.ok === true && typeof value.name === 'string' && typeof value.run === 'string')
    return { ok: true, name: value.name, run: value.run };
  if (value?.ok !== false) return null;
  const { code, message, hint } = value;
  if (typeof code !== 'string' || typeof message !== 'string' || typeof hint !== 'string') return null;
  return { ok: false, code, message, hint };
}

function parseObject(given: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(given);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
