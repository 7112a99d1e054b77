/** `sand cp`: files between the host and a guest that runs, and what is told of what was left out. */
import { escapeJson } from '../../audit/escape.ts';
import { auditRoot, type Environment } from '../../audit/runs.ts';
import { parseCopy, parseSize } from '../copy/arguments.ts';
import { COPY_LIMITS } from '../copy/limits.ts';
import type { Received } from '../copy/receiver.ts';
import { type CopySurroundings, copyIn, copyOut, streamOut } from '../copy/transfer.ts';
import { viewGuests } from '../guests/guests.ts';
import { usage } from '../run/options.ts';
import { processSignals } from '../run/signals.ts';
import { chooseRun } from './run-choice.ts';

export interface CopyFlags {
  readonly source: string;
  readonly destination: string;
  readonly maxSize?: string;
  readonly json: boolean;
}

export interface CopyContext {
  readonly env: Environment;
  readonly cwd: string;
  readonly write: (text: string) => void;
  readonly tell: (text: string) => void;
}

/** 1 where something was left out. */
export async function copyCommand(flags: CopyFlags, context: CopyContext): Promise<number> {
  const plan = parseCopy(flags.source, flags.destination);
  const contentBytes =
    flags.maxSize === undefined ? COPY_LIMITS.contentBytes : parseSize('--max-size', flags.maxSize);
  const surroundings: CopySurroundings = {
    run: await chooseRun({ env: context.env, run: plan.guest }),
    cwd: context.cwd,
    written: writtenByGuests(context),
    signals: processSignals(false),
    contentBytes,
  };
  if (plan.direction === 'in') {
    if (flags.maxSize !== undefined) throw usage('--max-size is for copies out of a guest', 'leave it out');
    await copyIn(plan, surroundings);
    if (flags.json) context.write(`${JSON.stringify({ copied: flags.destination })}\n`);
    return 0;
  }
  if (plan.to !== null) return report(await copyOut({ ...plan, to: plan.to }, surroundings), flags, context);
  if (flags.json) throw usage('--json and an archive on standard output', 'leave --json out');
  if (process.stdout.isTTY) throw usage('standard output is a terminal', 'write for example > FILE.tar');
  await streamOut(plan, surroundings, (chunk) => {
    if (process.stdout.write(chunk)) return undefined;
    return new Promise((resolve) => process.stdout.once('drain', resolve));
  });
  return 0;
}

function report(received: Received, { json }: CopyFlags, context: CopyContext): number {
  const { leftOut, leftOutCount } = received;
  if (json) context.write(`${escapeJson(JSON.stringify(received))}\n`);
  for (const what of leftOut) context.tell(`sand: left out ${what}\n`);
  if (leftOutCount > leftOut.length) context.tell(`sand: left out ${leftOutCount - leftOut.length} more\n`);
  return leftOutCount > 0 ? 1 : 0;
}

/** A link there may be a guest's: of one that runs, of one that has ended, or in the working directory, of any before. */
function writtenByGuests({ env, cwd }: CopyContext): readonly string[] {
  const mounts = viewGuests(auditRoot(env)).flatMap(({ state }) => state?.mounts ?? []);
  const sources = mounts.filter(({ writable }) => writable).map(({ source }) => source);
  return [...new Set([...sources, ...(cwd === '/' ? [] : [cwd])])];
}
