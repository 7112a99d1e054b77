/**
 * Starts a page: reads the embedded data in pieces, so that no piece holds up a frame, and ties filters, list,
 * details and charts together. What a live page adds comes in by `hooks` and goes through what this returns.
 */
import {
  type Entry,
  entryFor,
  entryName,
  type Filters,
  findEntries,
  formatHash,
  NO_FILTERS,
  parseHash,
} from '../filter.ts';
import type { LivePage, PageEvent, PageSummary } from '../model.ts';
import { type PackedEvents, unpackEvents } from '../packing.ts';
import { type Chart, createChart, SERIES } from './chart.ts';
import { createControls } from './controls.ts';
import { showDetails } from './details.ts';
import { el, place } from './dom.ts';
import type { PageHooks } from './hooks.ts';
import { hostPanels, hostTable, nameRows, totals } from './hosts.ts';
import { createList } from './list.ts';
import { runHeads } from './run-head.ts';
import { startTheme } from './theme.ts';
import { formatCount, formatTime, plural } from './words.ts';

export function startPage(hooks: PageHooks = {}): LivePage {
  let summary = JSON.parse(embedded('summary')[0]?.textContent ?? '{}') as PageSummary;
  let { filters, selected } = parseHash(location.hash);
  const entries: Entry[] = [];
  /** Where an entry stands, so that a live page can replace it. */
  const places = new Map<string, number>();
  let charts: readonly Chart[] = [];
  let isRead = false;

  const details = place('details');
  const use = { summary: () => summary, narrow: (change: Partial<Filters>) => setFilters(change), hooks };
  const list = createList(place('grid-scroll'), place('grid'), {
    selected: (entry) => {
      showDetails(details, entry, use);
      // A part of the list is no reason to forget what a link asks for.
      if (isRead) selected = entry === null ? null : entryName(entry.event);
      writeHash();
    },
    enter: () => place('details-heading').focus(),
  });
  const controls = createControls(
    () => filters,
    setFilters,
    () => setFilters(NO_FILTERS),
  );

  function setFilters(change: Partial<Filters>): void {
    filters = { ...filters, ...change };
    controls.show(filters);
    writeHash();
    refresh();
  }

  function writeHash(): void {
    if (!isRead) return;
    const hash = formatHash(filters, selected);
    if (hash !== location.hash.slice(1)) history.replaceState(null, '', hash === '' ? '#' : `#${hash}`);
  }

  function refresh(): void {
    const found = findEntries(entries, filters);
    controls.count(found);
    list.show(found.entries);
    for (const chart of charts) chart.markRange(filters);
    place('count').textContent = isRead
      ? countText(found.entries.length, entries.length, summary)
      : 'Reading\u2026';
  }

  /** In steps, between which the browser can paint. */
  const drawing: readonly (() => void)[] = [
    () => {
      place('runs-heading').textContent =
        summary.runs.length === 1 ? 'Run' : plural(summary.runs.length, 'run');
      place('made').textContent = `made ${formatTime(Date.parse(summary.madeAt))} by sand ${summary.sand}`;
      place('runs').replaceChildren(...runHeads(summary));
      document.title = titleOf(summary);
    },
    () => {
      place('totals').replaceChildren(...totals(summary));
      place('legend').replaceChildren(...legend(summary));
    },
    () => {
      charts = summary.runs.map((run) => createChart(run, summary.runs.length > 1, setFilters));
      place('charts').replaceChildren(...charts.map(({ element }) => element));
    },
    () => {
      place('hosts').replaceChildren(...hostPanels(summary, chooseHost));
      fillWhenOpened(() => place('all-hosts-table').replaceChildren(...hostTable(summary, chooseHost)));
    },
    () => place('names').replaceChildren(...nameRows(summary, chooseHost)),
  ];

  function chooseHost(host: string): void {
    setFilters({ host });
    place('list-heading').focus();
  }

  function take(events: readonly PageEvent[]): void {
    for (const event of events) {
      const name = entryName(event);
      const known = places.get(name);
      if (known === undefined) places.set(name, entries.push(entryFor(event)) - 1);
      else entries[known] = entryFor(event);
    }
  }

  async function read(): Promise<void> {
    for (const step of drawing) {
      step();
      await nextTask();
    }
    controls.show(filters);
    showDetails(details, null, use);
    await nextTask();
    for (const element of embedded('events')) {
      take(unpackEvents(JSON.parse(element.textContent ?? '') as PackedEvents));
      if (entries.length > 0 && place('grid').getAttribute('aria-rowcount') === null) refresh();
      await nextTask();
    }
    isRead = true;
    controls.offer(entries, summary);
    await nextTask();
    refresh();
    list.select(selected);
    place('events').dataset.state = 'read';
  }

  startTheme();
  startKeys(() => list.focus());
  addEventListener('hashchange', () => {
    ({ filters, selected } = parseHash(location.hash));
    controls.show(filters);
    refresh();
    list.select(selected);
  });
  void read();

  return {
    get summary() {
      return summary;
    },
    appendEvents: (events) => {
      take(events);
      refresh();
    },
    replaceSummary: (next) => {
      summary = next;
      for (const step of drawing) step();
      refresh();
    },
  };
}

function embedded(name: string): readonly Element[] {
  return [...document.querySelectorAll(`script[data-page="${name}"]`)];
}

/** Lets the browser paint and take input in between. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function fillWhenOpened(fill: () => void): void {
  const details = place('all-hosts');
  if (details.hasAttribute('open')) fill();
  else
    details.ontoggle = () => {
      details.ontoggle = null;
      fill();
    };
}

function legend({ runs }: PageSummary): readonly Node[] {
  const present = SERIES.filter((_, at) =>
    runs.some(({ timeline }) => timeline.bars.some((bar) => (bar[at] ?? 0) > 0)),
  );
  return present.map(({ key, text }) => el('li', { class: `key-${key}` }, text));
}

function titleOf({ runs, totals: sums }: PageSummary): string {
  const what = runs.length === 1 ? (runs[0]?.id ?? '') : plural(runs.length, 'run');
  return `${sums.denied > 0 ? `${formatCount(sums.denied)} denied, ` : ''}${what}, sand audit report`;
}

function countText(shown: number, held: number, { totalEvents }: PageSummary): string {
  const of = shown === held ? plural(held, 'event') : `${formatCount(shown)} of ${plural(held, 'event')}`;
  const left = totalEvents - held;
  return left > 0
    ? `${of}; ${formatCount(left)} more are in the log, not on this page. Charts and totals count them.`
    : of;
}

/** `/` searches, Escape leaves, and the skip link does not touch the hash, which holds the filters. */
function startKeys(focusList: () => void): void {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isField = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (event.key === '/' && !isField) {
      event.preventDefault();
      place('search').focus();
    }
    const isInside = event.target instanceof Node && place('details').contains(event.target);
    if (event.key === 'Escape' && (isInside || event.target === place('search'))) focusList();
  });
  place('skip').addEventListener('click', (event) => {
    event.preventDefault();
    place('list-heading').focus();
  });
}
