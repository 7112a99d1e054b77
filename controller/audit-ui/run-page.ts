/** The page of one run as it stands now, with what its script needs to follow it. */
import { loadAssets } from '../../audit/page/assets.ts';
import { readPage } from '../../audit/page/read.ts';
import { contentPolicy, type PageAssets, renderPage } from '../../audit/page/render.ts';
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
      const made = { sand: VERSION, madeAt: new Date(nowMs()).toISOString() };
      const { summary, events } = await readPage([run], made);
      const [first] = summary.runs;
      // Lines that do not read have no number of their own: then a few entries come a second time, and take their own place.
      const live = { api, csrf, run: run.id, seq: first?.events ?? 0, sealed: first?.end != null };
      return {
        policy,
        html: renderPage({ summary: { ...summary, live }, events, assets, policy: LIVE_POLICY }),
      };
    },
  };
}
