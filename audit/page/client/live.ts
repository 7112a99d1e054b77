/**
 * The script of a page that `sand audit ui` serves: follows the run, lists the other runs, and offers allow, deny and
 * mute on an event. What comes from the server is shown as the rest of the page is: as text.
 */
import { PAGE_LIMITS } from '../limits.ts';
import type { PageEvent, PageLive, PageSummary } from '../model.ts';
import { type PackedEvents, unpackEvents } from '../packing.ts';
import { el, place } from './dom.ts';
import { startPage } from './page.ts';
import { showAction } from './rule-dialog.ts';
import { showRuns } from './run-table.ts';
import { plural } from './words.ts';

const ACTIONS = [
  { action: 'allow', text: 'Allow\u2026' },
  { action: 'deny', text: 'Deny\u2026' },
  { action: 'mute', text: 'Mute\u2026' },
] as const;

/** How often the list of runs is asked for, while somebody looks. */
const RUNS_MS = 3_000;

/** How often is looked whether the page has read its own events. */
const READ_MS = 20;

type Tone = 'good' | 'plain' | 'warn' | 'bad';

function start(): void {
  const page = startPage({ renderActions });
  const { live } = page.summary;
  if (live === undefined) throw new RangeError('a live page without a server');
  function renderActions(event: PageEvent, container: Element): void {
    const { live: at } = page.summary;
    if (at === undefined || !isDecided(event)) return;
    const offered = ACTIONS.filter(({ action }) => isOffered(action, event));
    container.replaceChildren(
      ...offered.map(({ action, text }) => {
        const button = el('button', { type: 'button', 'data-action': action }, text);
        button.onclick = () => void showAction(at, event, action);
        return button;
      }),
    );
  }
  const state = el('span', { id: 'live-state', class: 'badge plain', role: 'status' });
  place('theme').before(state);
  const tell = (tone: Tone, text: string) => {
    state.className = `badge ${tone}`;
    state.textContent = text;
  };
  const runs = el('div', { id: 'live-runs' });
  place('runs').closest('section')?.before(runs);
  watchRuns(live, runs);
  if (live.sealed) tell('plain', 'This run has ended');
  else whenRead(() => follow(live, page, tell));
}

/** What comes later must not be overtaken by what stands in the page. */
function whenRead(then: () => void): void {
  if (place('events').dataset.state === 'read') then();
  else setTimeout(() => whenRead(then), READ_MS);
}

/** What a policy has a say in. */
function isDecided({ kind }: PageEvent): boolean {
  return kind === 'dns' || kind === 'connection' || kind === 'unplanted';
}

/** What would change nothing is not offered. */
function isOffered(action: (typeof ACTIONS)[number]['action'], { verdict }: PageEvent): boolean {
  const isDenied = verdict === 'denied' || verdict === 'would-be-denied';
  if (action === 'allow') return verdict !== 'allowed';
  return action === 'mute' ? isDenied : verdict !== 'denied';
}

interface Followed {
  appendEvents(events: readonly PageEvent[]): void;
  replaceSummary(summary: PageSummary): void;
}

/** The browser connects again by itself, and says which line it had last. */
function follow(live: PageLive, page: Followed, tell: (tone: Tone, text: string) => void): void {
  const source = new EventSource(`${live.api}/runs/${live.run}/events?after=${live.seq}`);
  let added = 0;
  source.addEventListener('open', () => tell('good', 'Live'));
  source.addEventListener('entries', ({ data }: MessageEvent<string>) => {
    const events = unpackEvents(JSON.parse(data) as PackedEvents);
    added += events.length;
    if (added <= PAGE_LIMITS.events) page.appendEvents(events);
    else {
      source.close();
      tell('warn', `${plural(PAGE_LIMITS.events, 'event')} have come since: load the page again`);
    }
  });
  source.addEventListener('summary', ({ data }: MessageEvent<string>) => {
    page.replaceSummary({ ...(JSON.parse(data) as PageSummary), live });
  });
  source.addEventListener('end', ({ data }: MessageEvent<string>) => {
    source.close();
    const { why } = JSON.parse(data) as { readonly why: string };
    if (why === 'sealed') tell('plain', 'This run has ended');
    else if (why === 'abandoned') tell('bad', 'This run was killed: its log has no end');
    else tell('bad', 'The log became shorter while it was read: run sand audit verify');
  });
  source.addEventListener('error', () => {
    const isOver = source.readyState === EventSource.CLOSED;
    if (isOver) tell('bad', 'No longer live: load the page again');
    else tell('warn', 'Not connected; trying again. Has sand audit ui ended?');
  });
}

function watchRuns(live: PageLive, container: HTMLElement): void {
  const look = async () => {
    if (document.hidden) return;
    try {
      const response = await fetch(`${live.api}/runs`);
      if (response.ok) showRuns(container, live, (await response.json()) as unknown);
    } catch {
      // The state of the connection is told by what follows the run.
    }
  };
  void look();
  setInterval(() => void look(), RUNS_MS);
}

start();
