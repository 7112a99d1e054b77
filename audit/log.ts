/**
 * Writes the audit log of one guest: opens its files, numbers and chains the lines, and hands each to pino's
 * synchronous destination, so that it has passed `write(2)` when `record` returns. Decides that a log which
 * failed once is never written again, and when its next file begins. What a line looks like is in `line.ts`.
 *
 * pino's own formatter is not used: the chain needs the exact bytes of a line before they are written.
 */
import { closeSync, constants, fchmodSync, fsyncSync, openSync } from 'node:fs';
import pino from 'pino';
import type { AuditEntry, AuditSink } from './event.ts';
import { LOG_LIMITS } from './limits.ts';
import { encodeLine, FIRST_PREV, hashLine } from './line.ts';
import { segmentPath } from './segments.ts';
import { type SigningKey, signLine } from './signature.ts';
import { AuditUnavailable } from './unavailable.ts';

export interface AuditLogOptions {
  /** Must not exist; its directory must, with mode 0700. */
  readonly path: string;
  readonly guest: string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** How often EAGAIN is waited for, 100 ms each; `LOG_LIMITS.busyRetries` unless told. */
  readonly busyRetries?: number;
  /** When the next file begins; `LOG_LIMITS.segmentBytes` unless told. A line is never cut for it. */
  readonly segmentBytes?: number;
  /** Signs the seal; absent: nothing does. */
  readonly key?: SigningKey;
}

export interface AuditLog extends AuditSink {
  readonly path: string;
  /** Lines written so far. */
  readonly events: number;
  /** Set by the first failure and never cleared. */
  readonly failed: AuditUnavailable | null;
  /**
   * Gives the `seq` of the line. `events` of a `run-end` is filled in here; that line seals the log. Throws
   * `AuditUnavailable` after a failure, a seal or a close.
   */
  record(entry: AuditEntry): number;
  /** Flushes to the disk and closes; later calls do nothing. Throws `AuditUnavailable` when the disk refuses. */
  close(): void;
}

/**
 * Creates the file (mode 0600, append only). A file that exists is refused, even an empty one: it has or had
 * another writer. Throws `AuditUnavailable`.
 */
export function createAuditLog(options: AuditLogOptions): AuditLog {
  return new DescriptorLog(options, openSegment(options.path), openSegment);
}

/** The same over one open descriptor, which the log then owns. The caller answers for its flags and mode. */
export function createAuditLogOn(descriptor: number, options: AuditLogOptions): AuditLog {
  return new DescriptorLog(options, descriptor, null);
}

function openSegment(path: string): number {
  const flags =
    constants.O_WRONLY |
    constants.O_APPEND |
    constants.O_CREAT |
    constants.O_EXCL |
    constants.O_NOFOLLOW |
    constants.O_NONBLOCK;
  try {
    const descriptor = openSync(path, flags, 0o600);
    fchmodSync(descriptor, 0o600);
    return descriptor;
  } catch (error) {
    throw unavailable(path, error);
  }
}

class DescriptorLog implements AuditLog {
  readonly path: string;
  readonly #options: AuditLogOptions;
  /** Null: there is one file alone. */
  readonly #open: ((path: string) => number) | null;
  #descriptor: number;
  #destination: ReturnType<typeof pino.destination>;
  #segment = 1;
  #segmentBytes = 0;
  #events = 0;
  #prev = FIRST_PREV;
  #failed: AuditUnavailable | null = null;
  #sealed = false;
  #closed = false;
  #retries = 0;

  constructor(options: AuditLogOptions, descriptor: number, open: ((path: string) => number) | null) {
    this.path = options.path;
    this.#options = options;
    this.#open = open;
    this.#descriptor = descriptor;
    this.#destination = this.#destinationOn(descriptor);
  }

  #destinationOn(descriptor: number): ReturnType<typeof pino.destination> {
    // A partial write goes on where it stopped, EAGAIN is tried again; both inside the destination.
    const destination = pino.destination({
      dest: descriptor,
      sync: true,
      retryEAGAIN: () => {
        this.#retries += 1;
        return this.#retries <= (this.#options.busyRetries ?? LOG_LIMITS.busyRetries);
      },
    });
    // With a listener, the destination reports a failed write only here and returns normally from `write`.
    destination.on('error', (error: unknown) => {
      this.#failed ??= unavailable(this.path, error);
    });
    return destination;
  }

  get events(): number {
    return this.#events;
  }

  get failed(): AuditUnavailable | null {
    return this.#failed;
  }

  record(entry: AuditEntry): number {
    // Fail closed: after one failure the tail of the file is unknown, so nothing is added and nobody may go on.
    if (this.#failed !== null) throw this.#failed;
    if (this.#closed || this.#sealed) {
      throw new AuditUnavailable(this.path, `the audit log ${this.path} has ended`);
    }
    const seq = this.#events + 1;
    const line = this.#lineOf(entry, seq);
    this.#write(`${line}\n`);
    this.#events = seq;
    this.#prev = hashLine(line);
    this.#sealed = entry.kind === 'run-end';
    return seq;
  }

  #lineOf(entry: AuditEntry, seq: number): string {
    const { key, guest, clock } = this.#options;
    const frame = { seq, timeMs: clock(), guest, prev: this.#prev };
    if (entry.kind === 'run-start' && key !== undefined)
      return encodeLine({ ...entry, key: key.fingerprint }, frame);
    if (entry.kind !== 'run-end') return encodeLine(entry, frame);
    const seal = { ...entry, events: this.#events };
    return key === undefined
      ? encodeLine(seal, frame)
      : signLine(encodeLine({ ...seal, signature: '' }, frame), key);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Not the destination's own end(): it would try the rest of a failed line again.
    try {
      syncToDisk(this.#descriptor);
    } catch (error) {
      this.#failed ??= unavailable(this.path, error);
      throw this.#failed;
    } finally {
      closeQuietly(this.#descriptor);
    }
  }

  #write(text: string): void {
    this.#retries = 0;
    const bytes = Buffer.byteLength(text);
    try {
      this.#makeRoom(bytes);
      this.#destination.write(text);
      this.#segmentBytes += bytes;
    } catch (error) {
      this.#failed ??= error instanceof AuditUnavailable ? error : unavailable(this.path, error);
    }
    if (this.#failed !== null) throw this.#failed;
  }

  /** The next file is begun only when this one is whole on the disk. */
  #makeRoom(bytes: number): void {
    const limit = this.#options.segmentBytes ?? LOG_LIMITS.segmentBytes;
    if (this.#open === null || this.#segmentBytes === 0 || this.#segmentBytes + bytes <= limit) return;
    syncToDisk(this.#descriptor);
    const next = this.#open(segmentPath(this.path, this.#segment + 1));
    closeQuietly(this.#descriptor);
    this.#segment += 1;
    this.#segmentBytes = 0;
    this.#descriptor = next;
    this.#destination = this.#destinationOn(next);
  }
}

/** What has no disk behind it (a pipe, a device) cannot be flushed and need not be. */
const NOT_A_FILE = new Set(['EINVAL', 'ENOTSUP', 'EROFS']);

function syncToDisk(descriptor: number): void {
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (!NOT_A_FILE.has(codeOf(error))) throw error;
  }
}

function closeQuietly(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // EBADF: it is closed already. The lines are on the disk or `syncToDisk` has thrown.
  }
}

function unavailable(path: string, cause: unknown): AuditUnavailable {
  const code = codeOf(cause);
  const why =
    code === 'EEXIST'
      ? 'it exists already, and a log is never continued'
      : cause instanceof Error
        ? cause.message
        : String(cause);
  return new AuditUnavailable(path, `the audit log ${path} cannot be written: ${why}`, { cause });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
