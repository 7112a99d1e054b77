/** The first and the last event of a log, without reading what is between: what a list of runs shows. */
import type { FileHandle } from 'node:fs/promises';
import type { AuditEvent } from './event.ts';
import { READ_LIMITS } from './limits.ts';
import { decodeLine } from './line.ts';
import { openLogFile } from './lines.ts';

export interface LogEnds {
  /** Null where the line is missing, unreadable or longer than one read. */
  readonly first: AuditEvent | null;
  readonly last: AuditEvent | null;
}

/** Rejects when the file cannot be opened or read. */
export async function readLogEnds(path: string): Promise<LogEnds> {
  const handle = await openLogFile(path);
  try {
    const { size } = await handle.stat();
    const head = await readAt(handle, 0);
    const tail =
      size <= head.length ? head : await readAt(handle, Math.max(0, size - READ_LIMITS.chunkBytes));
    const end = tail.lastIndexOf(10);
    const first = head.indexOf(10) === -1 ? null : eventOf(head.subarray(0, head.indexOf(10)));
    const last =
      end === -1 ? null : eventOf(tail.subarray(end === 0 ? 0 : tail.lastIndexOf(10, end - 1) + 1, end));
    return { first, last };
  } finally {
    await handle.close();
  }
}

async function readAt(handle: FileHandle, position: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(READ_LIMITS.chunkBytes);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
  return buffer.subarray(0, bytesRead);
}

function eventOf(bytes: Buffer): AuditEvent | null {
  const decoded = decodeLine(bytes);
  return decoded.ok ? decoded.event : null;
}
