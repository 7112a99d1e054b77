/** `sand audit top`: hosts by requests, bytes and denials, of one run or of several together. */
import { readAuditLog } from '../../audit/read.ts';
import { TOP_ORDERS, TopHosts, type TopOrder } from '../../audit/top.ts';
import { formatTop } from '../../audit/top-table.ts';
import { usage } from '../run/options.ts';
import { type AuditOutput, chooseAudited, jsonLine, readingLog, signalOf } from './audit-output.ts';

export interface TopCommand extends AuditOutput {
  /** None: the last one. */
  readonly runs: readonly string[];
  readonly by: TopOrder;
  readonly limit?: number | undefined;
  /** Count what the policy mutes, too. */
  readonly all: boolean;
}

/** 1 when lines of a log are unreadable. */
export async function auditTop(options: TopCommand): Promise<number> {
  const { by, limit, all, json, write, terminal } = options;
  const chosen = options.runs.length === 0 ? [undefined] : options.runs;
  const places = [];
  for (const run of chosen) places.push(await chooseAudited({ ...options, run }));
  // A run that was named twice is counted once.
  const runs = [...new Map(places.map((place) => [place.id, place])).values()];
  const top = new TopHosts();
  let faults = 0;
  for (const run of runs)
    await readingLog(run, async () => {
      for await (const line of readAuditLog(run.auditPath, signalOf(options))) {
        if (line.ok) top.add(line.event);
        else faults += 1;
      }
    });
  const result = top.result({ by, muted: all, ...(limit === undefined ? {} : { limit }) });
  if (json) write(jsonLine({ runs: runs.map(({ id }) => id), by, ...result, faults }));
  else write(`${formatTop(result, terminal)}${faults > 0 ? `${faults} unreadable lines\n` : ''}`);
  return faults > 0 ? 1 : 0;
}

export function parseTopOrder(text: string): TopOrder {
  const order = TOP_ORDERS.find((one) => one === text);
  if (order !== undefined) return order;
  throw usage(`--by ${text}: there is no such order`, `write one of: ${TOP_ORDERS.join(', ')}`);
}
