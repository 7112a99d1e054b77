/** The runs on record as a live page lists them, each a way to its page. */
import type { PageLive } from '../model.ts';
import { el, seen } from './dom.ts';
import { formatCommand, formatTime, plural } from './words.ts';

interface Listed {
  readonly run: string;
  readonly name: string | null;
  readonly command: readonly string[];
  readonly started: string | null;
  readonly policy: string | null;
  readonly live: boolean;
  readonly exitCode: number | null;
  readonly denied: number | null;
}

/** Fail closed: what does not look like a run's name leads nowhere. */
const RUN = /^\d{8}-\d{6}-[0-9a-z]{4}$/;

/** Drawn anew only where something has changed, so that focus and reading stay where they are. */
export function showRuns(container: HTMLElement, live: PageLive, answer: unknown): void {
  const text = JSON.stringify(answer);
  if (container.dataset.shown === text) return;
  container.dataset.shown = text;
  const { runs } = answer as { readonly runs: readonly Listed[] };
  const isOpen = container.querySelector('details')?.open ?? false;
  const count = runs.filter((one) => one.live).length;
  container.replaceChildren(
    el(
      'details',
      { class: 'all-runs', open: isOpen },
      el(
        'summary',
        {},
        `${plural(runs.length, 'run')} on record`,
        count === 0 ? null : el('span', { class: 'badge good' }, `${count} live`),
      ),
      el(
        'div',
        { class: 'scroll' },
        el(
          'table',
          { class: 'runs' },
          el('thead', {}, el('tr', {}, ...HEADS.map((head) => el('th', { scope: 'col' }, head)))),
          el('tbody', {}, ...runs.map((one) => row(one, live))),
        ),
      ),
    ),
  );
}

const HEADS = ['Run', 'Started', 'Policy', 'Denied', 'End', 'Command'] as const;

function row(one: Listed, live: PageLive): HTMLElement {
  const name = one.name === null ? one.run : `${one.name} (${one.run})`;
  const link = el('a', { class: 'run-link' }, seen(name));
  if (RUN.test(one.run)) link.href = `${live.api.replace(/\/api$/, '')}/runs/${one.run}`;
  return el(
    'tr',
    { class: one.run === live.run ? 'chosen' : null },
    el('th', { scope: 'row' }, one.run === live.run ? el('strong', {}, seen(name)) : link),
    el('td', {}, one.started === null ? '' : formatTime(Date.parse(one.started))),
    el('td', {}, seen(one.policy ?? '')),
    el('td', { class: 'number' }, one.denied === null ? '' : String(one.denied)),
    el('td', {}, endOf(one)),
    el('td', { class: 'command-cell' }, el('code', {}, seen(formatCommand(one.command)))),
  );
}

function endOf({ live, exitCode }: Listed): Node | string {
  if (live) return el('span', { class: 'badge good' }, 'live');
  return exitCode === null ? 'no end' : `exit ${exitCode}`;
}
