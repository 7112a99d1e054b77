/** Reads the logs of some runs into the data of a page, one after another, and checks the chain of each. */
import { type ReadOptions, readAuditLog } from '../read.ts';
import type { RunPlace } from '../runs.ts';
import { type Verification, verifyAuditLog } from '../verify.ts';
import { PageBuilder, type PageData, type PageOptions } from './data.ts';
import type { PageChain } from './model.ts';

/** Each run is on the page once, oldest first. Rejects when a log cannot be read, or the signal aborts. */
export async function readPage(
  runs: readonly RunPlace[],
  options: PageOptions & ReadOptions,
): Promise<PageData> {
  const builder = new PageBuilder(options);
  const places = new Map(runs.map((run) => [run.id, run]));
  const ids = [...places.keys()].sort();
  for (const id of ids) {
    const run = places.get(id);
    if (run === undefined) continue;
    builder.beginRun(id);
    for await (const line of readAuditLog(run.auditPath, options)) {
      if (line.ok) builder.add(line.event);
      else builder.addFault(line);
    }
    builder.endRun(chainOf(await verifyAuditLog(run.auditPath, { ...signalOf(options), run: id })));
  }
  return builder.data();
}

export function chainOf(found: Verification): PageChain {
  if (found.intact) return { state: found.ended ? 'sealed' : 'unsealed', events: found.events };
  const { line, segment, problem, detail } = found;
  return { state: 'broken', line, segment, problem, detail };
}

function signalOf({ signal }: ReadOptions): ReadOptions {
  return signal === undefined ? {} : { signal };
}
