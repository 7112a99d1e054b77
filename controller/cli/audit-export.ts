/**
 * `sand audit export`: the events of a run in another form, to stdout or to a file. A file comes into being whole or not
 * at all, and no part of a log is held longer than it takes to write it.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createCsvEncoder } from '../../audit/export/csv.ts';
import type { EventEncoder } from '../../audit/export/encoder.ts';
import { createJsonEncoder, createJsonLinesEncoder } from '../../audit/export/json.ts';
import { createOcsfEncoder } from '../../audit/export/ocsf.ts';
import { createOtlpEncoder } from '../../audit/export/otlp.ts';
import { EXPORT_LIMITS } from '../../audit/limits.ts';
import { readAuditLog } from '../../audit/read.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { type Criteria, EVERYTHING, Selection } from '../../audit/selection.ts';
import { SandError } from '../errors.ts';
import { usage } from '../run/options.ts';
import { type AuditedRun, type AuditOutput, chooseAudited, readingLog, signalOf } from './audit-output.ts';

const FORMATS = {
  json: createJsonEncoder,
  jsonl: createJsonLinesEncoder,
  csv: createCsvEncoder,
  ocsf: createOcsfEncoder,
  otlp: createOtlpEncoder,
} as const;

export type ExportFormat = keyof typeof FORMATS;

export interface ExportOptions extends AuditOutput, AuditedRun {
  readonly format: ExportFormat;
  /** Absent: stdout. */
  readonly output?: string | undefined;
  readonly criteria?: Criteria;
  /** For what is said beside the export. */
  readonly told: (line: string) => void;
}

export function parseExportFormat(text: string): ExportFormat {
  const formats = Object.keys(FORMATS) as readonly ExportFormat[];
  const format = formats.find((one) => one === text);
  if (format !== undefined) return format;
  throw usage(`--format ${text}: there is no such format`, `write one of: ${formats.join(', ')}`);
}

/** 1 when lines of the log are unreadable: the others are exported. */
export async function auditExport(options: ExportOptions): Promise<number> {
  const run = await chooseAudited(options);
  const encoder = FORMATS[options.format]();
  const { output } = options;
  const sink = output === undefined ? toStdout(options) : await toFile(output);
  try {
    const faults = await readingLog(run, () => encodeRun(run, encoder, sink, options));
    await sink.finish();
    for (const fault of faults.slice(0, 1)) options.told(`line ${fault} is unreadable and not exported`);
    if (faults.length > 1) options.told(`and ${faults.length - 1} more unreadable lines`);
    return faults.length > 0 ? 1 : 0;
  } finally {
    await sink.close();
  }
}

/** Gives the numbers of the lines that are no events. */
async function encodeRun(
  run: RunPlace,
  encoder: EventEncoder,
  sink: Sink,
  options: ExportOptions,
): Promise<readonly number[]> {
  const selection = new Selection(options.criteria ?? EVERYTHING, 'by itself');
  const faults: number[] = [];
  let text = encoder.begin();
  for await (const line of readAuditLog(run.auditPath, signalOf(options))) {
    if (!line.ok) faults.push(line.line);
    else if (selection.has(line.event)) text += encoder.event(line.event);
    if (text.length < EXPORT_LIMITS.chunkCharacters) continue;
    await sink.write(text);
    text = '';
  }
  await sink.write(text + encoder.end());
  return faults;
}

interface Sink {
  readonly write: (text: string) => Promise<void>;
  /** What was written is now where it belongs. */
  readonly finish: () => Promise<void>;
  /** Idempotent; without `finish` before it nothing is left. */
  readonly close: () => Promise<void>;
}

function toStdout({ write, drain }: AuditOutput): Sink {
  return {
    async write(text) {
      write(text);
      await drain?.();
    },
    finish: async () => {},
    close: async () => {},
  };
}

/** Raises `output-failed`. */
async function toFile(path: string): Promise<Sink> {
  const fresh = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.new`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const failing = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw unwritable(path, cause);
    }
  };
  // What a guest asked for is nobody else's business.
  let handle: FileHandle | null = await failing(() => open(fresh, flags, 0o600));
  let isFinished = false;
  const close = async () => {
    await handle?.close();
    handle = null;
    if (!isFinished) await rm(fresh, { force: true });
  };
  return {
    write: (text) => failing(async () => void (await handle?.writeFile(text))),
    finish: () =>
      failing(async () => {
        await handle?.sync();
        await handle?.close();
        handle = null;
        await rename(fresh, path);
        isFinished = true;
      }),
    close,
  };
}

function unwritable(path: string, cause: unknown): SandError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SandError(
    'output-failed',
    `${path} cannot be written: ${why}`,
    'Name a file in a folder that you can write, with room for it.',
    { cause },
  );
}
