/** The page of one run as it stands now, with what its script needs to follow it. */
import type { AuditEvent } from '../../audit/event.ts';
import { loadAssets } from '../../audit/page/assets.ts';
import { PageBuilder } from '../../audit/page/data.ts';
import { contentPolicy, type PageAssets, renderPage } from '../../audit/page/render.ts';
import { readAuditLog } from '../../audit/read.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { VERSION } from '../version.ts';

/** What a live page may do besides: ask where it came from, and be in no frame. */
const LIVE_POLICY: readonly string[] = ["connect-src 'self'"];

export interface RunPage {
  readonly policy: string;
  readonly html: AsyncIterable<string> | Iterable<string>;
}

export interface PageMaker {
  /** Rejects where the log cannot be read. */
  make(run: RunPlace, live: { readonly api: string; readonly csrf: string }): Promise<RunPage>;
}

export async function createPageMaker(nowMs: () => number): Promise<PageMaker> {
  const assets: PageAssets = await loadAssets('live');
  const policy = [contentPolicy(assets, LIVE_POLICY), "frame-ancestors 'none'"].join('; ');
  return {
    async make(run, { api, csrf }) {
      const builder = new PageBuilder({ sand: VERSION, madeAt: new Date(nowMs()).toISOString() });
      builder.beginRun(run.id);
      let last: AuditEvent | null = null;
      for await (const line of readAuditLog(run.auditPath)) {
        if (!line.ok) {
          // What is not whole yet comes by the feed.
          if (line.problem !== 'torn') builder.addFault(line);
          continue;
        }
        builder.add(line.event);
        last = line.event;
      }
      const { summary, events } = builder.data();
      const live = { api, csrf, run: run.id, seq: last?.seq ?? 0, sealed: last?.kind === 'run-end' };
      return {
        policy,
        html: renderPage({ summary: { ...summary, live }, events, assets, policy: LIVE_POLICY }),
      };
    },
  };
}
