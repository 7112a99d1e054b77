/** The first and the last event of a log, without reading what is between: what a list of runs shows. */
import type { FileHandle } from 'node:fs/promises';
import type { AuditEvent } from './event.ts';
import { READ_LIMITS } from './limits.ts';
import { decodeLine } from './line.ts';
import { openLogFile } from './lines.ts';
import { listSegments, segmentPath } from './segments.ts';

export interface LogEnds {
  /** Null where the line is missing, unreadable or longer than one read. */
  readonly first: AuditEvent | null;
  readonly last: AuditEvent | null;
}

/** Rejects when a file cannot be opened or read. */
export async function readLogEnds(path: string): Promise<LogEnds> {
  const segments = await listSegments(path);
  return {
    first: await lineAt(path, 'first'),
    last: await lineAt(segmentPath(path, segments.at(-1) ?? 1), 'last'),
  };
}

async function lineAt(path: string, end: 'first' | 'last'): Promise<AuditEvent | null> {
  const handle = await openLogFile(path);
  try {
    const { size } = await handle.stat();
    const part = await readAt(handle, end === 'first' ? 0 : Math.max(0, size - READ_LIMITS.chunkBytes));
    const until = end === 'first' ? part.indexOf(10) : part.lastIndexOf(10);
    if (until === -1) return null;
    const from = end === 'first' || until === 0 ? 0 : part.lastIndexOf(10, until - 1) + 1;
    return eventOf(part.subarray(from, until));
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
