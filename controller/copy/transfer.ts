/**
 * A copy between the host and a guest that runs: tar at both ends, in the guest as a command that is on record, on the
 * host a reader that trusts nothing. Names and rules of places are `arguments.ts`'s.
 */
import { closeSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { escapeTerminal } from '../../audit/escape.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { type GuestProcess, startGuestProcess } from '../process/runner.ts';
import { toolEnvironment } from '../process/tool-path.ts';
import { type ExecRequest, execInGuest } from '../run/exec.ts';
import type { CopyPlan } from './arguments.ts';
import { failed, openPlace, statBelow } from './host-place.ts';
import { COPY_LIMITS } from './limits.ts';
import { CopyReceiver, type Received } from './receiver.ts';
import { packCommand, SCRIPT_CODES, unpackCommand } from './scripts.ts';
import { refused } from './tar-reader.ts';

export interface CopySurroundings {
  readonly run: RunPlace;
  readonly cwd: string;
  /** Folders of the host, real and absolute, in which guests write. */
  readonly written: readonly string[];
  readonly signals: ExecRequest['signals'];
  readonly contentBytes: number;
}

type Out = Extract<CopyPlan, { readonly direction: 'out' }>;
type In = Extract<CopyPlan, { readonly direction: 'in' }>;

const QUIET = { environment: { LC_ALL: 'C' }, workdir: '/', terminal: false } as const;

/** Raises `copy-refused`, `copy-failed`, `tool-missing`, and what a command in a guest raises. */
export async function copyOut(
  { from, to, guest }: Out & { readonly to: string },
  at: CopySurroundings,
): Promise<Received> {
  const place = openPlace(to, at.cwd, at.written);
  const receiver = new CopyReceiver({
    place,
    name: from.name === '.' ? null : from.name,
    mustBeFolder: to.endsWith('/') && place.name !== null,
    contentBytes: at.contentBytes,
    to,
  });
  try {
    const { code, complaint } = await unpacked(from, at, (chunk) => {
      receiver.take(chunk);
      return undefined;
    });
    requireDone(code, complaint, `${guest}:${from.folder}/${from.name}`);
    return receiver.finish();
  } finally {
    receiver.close();
  }
}

/** The archive as the guest makes it: nothing of it is looked at but its length. */
export async function streamOut(
  { from, guest }: Out,
  at: CopySurroundings,
  write: (chunk: Buffer) => Promise<void> | undefined,
): Promise<void> {
  let bytes = 0;
  const { code, complaint } = await unpacked(from, at, (chunk) => {
    bytes += chunk.length;
    if (bytes > at.contentBytes)
      throw refused(`more than ${at.contentBytes} bytes`, 'allow more with --max-size');
    return write(chunk);
  });
  requireDone(code, complaint, `${guest}:${from.folder}/${from.name}`);
}

export async function copyIn({ from, to, guest }: In, at: CopySurroundings): Promise<void> {
  const packing = from === null ? null : await pack(from, at);
  const what = packing === null ? null : { kind: packing.kind, name: packing.name };
  const { code, complaint } = await inGuest(at, {
    command: unpackCommand(to, what),
    input: packing === null ? 'inherit' : packing.output,
    take: () => undefined,
  }).finally(packing?.end);
  const packed = packing === null ? null : await packing.ended;
  requireDone(code, complaint, `${guest}:${to}`);
  if (packed !== null && packed.code !== 0) throw failed(from ?? '-', packed.complaint);
}

function unpacked(from: Out['from'], at: CopySurroundings, take: Take) {
  return inGuest(at, { command: packCommand(from.folder, from.name), input: 'ignore', take });
}

type Take = (chunk: Buffer) => Promise<void> | undefined;

interface GuestEnd {
  readonly code: number;
  /** What it said on standard error, bounded. */
  readonly complaint: string;
}

/** What `take` raises ends the command, and is raised. */
async function inGuest(
  { run, signals }: CopySurroundings,
  { command, input, take }: { command: readonly string[]; input: ExecRequest['stdio'][0]; take: Take },
): Promise<GuestEnd> {
  const abort = new AbortController();
  let complaint = '';
  const output: ExecRequest['output'] = (stream, chunk) => {
    if (abort.signal.aborted) return undefined;
    if (stream === 'stderr') {
      complaint = (complaint + chunk.toString('utf8')).slice(0, COPY_LIMITS.complaintBytes);
      return undefined;
    }
    try {
      return take(chunk);
    } catch (error) {
      abort.abort(error);
      return undefined;
    }
  };
  const stdio = [input, 'pipe', 'pipe'] as const;
  const request = { ...QUIET, command, stdio, output, signals, abort: abort.signal };
  const code = await execInGuest(run, request).catch((error: unknown) => {
    if (abort.signal.aborted) return 137;
    throw error;
  });
  if (abort.signal.aborted) throw abort.signal.reason;
  return { code, complaint: complaint.trim() };
}

function requireDone(code: number, complaint: string, what: string): void {
  if (code === 0) return;
  const named = escapeTerminal(what.replace('//', '/'));
  if (code === SCRIPT_CODES.noTar || code === 127)
    throw new SandError(
      'tool-missing',
      `the guest has no ${code === 127 ? '/bin/sh' : 'tar'}, by which sand copies`,
      'give the guest an image with tar, or read the file with `sand exec GUEST -- cat FILE`',
      { details: { tool: 'tar' } },
    );
  if (code === SCRIPT_CODES.noSource) throw failed(named, 'it is not there');
  if (code === SCRIPT_CODES.noFolder) throw failed(named, 'there is no such folder, or it cannot be written');
  const [first = ''] = complaint.split('\n');
  throw failed(named, `the guest\u2019s tar ended with ${code}${first === '' ? '' : ` (${first})`}`);
}

interface Packing {
  readonly kind: 'contents' | 'folder' | 'file';
  readonly name: string;
  readonly output: Readable;
  readonly ended: Promise<GuestEnd>;
  /** Idempotent. */
  end(): void;
}

/** The host's own tar, in an open folder: who renames folders meanwhile cannot have it read another one. */
async function pack(path: string, { cwd, written }: CopySurroundings): Promise<Packing> {
  const isContents = /(^|\/)\.\/?$/.test(path);
  const whole = resolve(cwd, path);
  const isNamed = !isContents && whole !== '/';
  const place = openPlace(isNamed ? dirname(whole) : whole, cwd, written);
  try {
    const name = isNamed ? basename(whole) : '.';
    const stat = place.name === null ? statBelow(place.parent, name) : null;
    if (stat === null) throw failed(path, 'it is not there');
    const kind = !isNamed ? 'contents' : stat.isDirectory() ? 'folder' : 'file';
    // By this process's own descriptor, which therefore stays open until tar has ended.
    const folder = `/proc/${process.pid}/fd/${place.parent}/.`;
    const args = ['-c', '--hard-dereference', '-C', folder, '-f', '-', `./${name}`];
    const tar = await startGuestProcess('tar', args, {
      environment: toolEnvironment(process.env),
      stdio: ['ignore', 'pipe', 'pipe'],
      descriptors: [],
      sharesSession: true,
    });
    // What nobody has begun to read when a process ends is thrown away; and the guest's command is not there yet.
    const output = new PassThrough();
    tar.outputs.get(1)?.pipe(output);
    const ended = endOf(tar).finally(() => closeSync(place.parent));
    return { kind, name, output, ended, end: () => tar.kill('SIGKILL') };
  } catch (error) {
    closeSync(place.parent);
    throw error;
  }
}

async function endOf({ outputs, ended }: GuestProcess): Promise<GuestEnd> {
  let complaint = '';
  outputs.get(2)?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString('utf8')).slice(0, COPY_LIMITS.complaintBytes);
  });
  const { exitCode } = await ended;
  return { code: exitCode ?? 137, complaint: complaint.trim() };
}
