/**
 * A copy between the host and a guest that runs: tar in the guest, as a command that is on record, and on the
 * host a reader and a writer of archives that trust nothing. Names and rules of places are `arguments.ts`'s.
 */
import { basename, dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { escapeTerminal } from '../../audit/escape.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { type ExecRequest, execInGuest } from '../run/exec.ts';
import type { CopyPlan } from './arguments.ts';
import { failed, openPlace } from './host-place.ts';
import { COPY_LIMITS } from './limits.ts';
import { CopyReceiver, type Received } from './receiver.ts';
import { packCommand, SCRIPT_CODES, unpackCommand } from './scripts.ts';
import { tarEnd } from './tar-header.ts';
import { refused } from './tar-reader.ts';
import { packTree } from './tree-packer.ts';

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
  const packing = from === null ? null : pack(from, at);
  const what = packing === null ? null : { kind: packing.kind, name: packing.name };
  const { code, complaint } = await inGuest(at, {
    command: unpackCommand(to, what),
    input: packing === null ? 'inherit' : packing.output,
    take: () => undefined,
  }).finally(() => packing?.output.destroy());
  // An archive that was cut is the host's fault first, whatever the guest's tar made of it.
  if (packing?.state.problem !== undefined) throw packing.state.problem;
  requireDone(code, complaint, `${guest}:${to}`);
  if (packing?.state.isWhole === false) throw failed(from ?? '-', 'the guest did not take all of it');
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
  readonly state: { isWhole: boolean; problem?: unknown };
}

/** In an open folder: who renames folders meanwhile cannot have another one read. */
function pack(path: string, { cwd, written }: CopySurroundings): Packing {
  const isContents = /(^|\/)\.\/?$/.test(path);
  const whole = resolve(cwd, path);
  const isNamed = !isContents && whole !== '/';
  const place = openPlace(isNamed ? dirname(whole) : whole, cwd, written);
  try {
    const name = isNamed ? basename(whole) : '.';
    const stat = place.name === null ? place.parent.stat(name) : null;
    if (stat === null) throw failed(path, 'it is not there');
    const kind = !isNamed ? 'contents' : stat.isDirectory() ? 'folder' : 'file';
    const state: Packing['state'] = { isWhole: false };
    // Begun at once, so that ending the stream always closes the folder.
    const output = Readable.from(packed(packTree(place.parent, name, path), state), { objectMode: false });
    output.once('close', () => place.parent.close());
    output.on('error', () => {});
    return { kind, name, output, state };
  } catch (error) {
    place.parent.close();
    throw error;
  }
}

/** Keeps what went wrong, which a stream tells only to whoever reads it. */
function* packed(chunks: Generator<Buffer>, state: Packing['state']): Generator<Buffer> {
  try {
    yield* chunks;
    state.isWhole = true;
    yield tarEnd();
  } catch (error) {
    state.problem = error;
    throw error;
  }
}
