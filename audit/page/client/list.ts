/**
 * The list of entries as a grid of which only the rows in sight exist, moved through by keyboard. Decides nothing
 * about which entries there are.
 */
import { REASONS } from '../../../policies/reasons.ts';
import { formatAuthority, formatBytes, formatRulePlace } from '../../phrases.ts';
import { choiceOf, type Entry, entryName } from '../filter.ts';
import type { PageEvent } from '../model.ts';
import { type Child, el, seen } from './dom.ts';
import { CHOICE_TEXT, formatClock, formatCount, formatDuration } from './words.ts';

/** Rows beyond either edge, so that a slow frame shows no gap. */
const OVERSCAN = 6;
/** Text of one cell: a path can be two thousand characters, and nobody reads them in a row. */
const CELL_TEXT = 160;

interface Column {
  readonly name: string;
  readonly title: string;
  readonly cell: (event: PageEvent) => readonly Child[];
}

const COLUMNS: readonly Column[] = [
  { name: 'time', title: 'Time', cell: ({ timeMs }) => [formatClock(timeMs)] },
  { name: 'verdict', title: 'Verdict', cell: (event) => [verdictMark(event)] },
  { name: 'host', title: 'Host', cell: hostCell },
  { name: 'how', title: 'How', cell: ({ how }) => [how] },
  {
    name: 'reason',
    title: 'Reason',
    cell: ({ reason, detail }) => [reason === null ? shortOf(detail ?? '') : REASONS[reason]],
  },
  {
    name: 'rule',
    title: 'Rule',
    cell: ({ rule }) => [rule === null ? '' : seen(endOf(formatRulePlace(rule)))],
  },
  {
    name: 'process',
    title: 'Process',
    cell: ({ process }) => [process === null ? '' : shortOf(`${process.pid} ${process.command}`)],
  },
  {
    name: 'bytes',
    title: 'Out / in',
    cell: ({ close }) => [
      close === null ? '' : `${formatBytes(close.bytesOut)} / ${formatBytes(close.bytesIn)}`,
    ],
  },
  {
    name: 'took',
    title: 'Took',
    cell: ({ close }) => [close === null ? '' : formatDuration(close.durationMs)],
  },
];

export interface EntryList {
  show(entries: readonly Entry[]): void;
  select(name: string | null): void;
  focus(): void;
}

export interface ListUse {
  readonly selected: (entry: Entry | null) => void;
  readonly enter: () => void;
}

export function createList(scroller: HTMLElement, grid: HTMLElement, use: ListUse): EntryList {
  const heads = COLUMNS.map(({ name, title }) =>
    el('span', { class: `c-${name}`, role: 'columnheader' }, title),
  );
  const head = el('div', { role: 'row', class: 'head', 'aria-rowindex': 1 }, ...heads);
  const body = el('div', { role: 'rowgroup', class: 'rows' });
  const empty = el('p', { class: 'empty', hidden: true }, 'Nothing matches.');
  grid.append(el('div', { role: 'rowgroup' }, head), body);
  scroller.append(empty);
  grid.setAttribute('aria-colcount', String(COLUMNS.length));
  let entries: readonly Entry[] = [];
  let active = -1;
  let drawn = new Map<number, HTMLElement>();
  const rowHeight = () => Number.parseFloat(getComputedStyle(grid).getPropertyValue('--row')) || 28;

  const draw = (anew: boolean) => {
    const height = rowHeight();
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - OVERSCAN);
    const last = Math.min(entries.length, first + Math.ceil(scroller.clientHeight / height) + OVERSCAN * 2);
    const next = new Map<number, HTMLElement>();
    for (let at = first; at < last; at += 1) {
      const entry = entries[at];
      if (entry === undefined) continue;
      const row = (anew ? undefined : drawn.get(at)) ?? rowOf(entry.event, at, height);
      row.setAttribute('aria-selected', String(at === active));
      next.set(at, row);
    }
    drawn = next;
    body.replaceChildren(...next.values());
    if (next.has(active)) grid.setAttribute('aria-activedescendant', `row-${active}`);
    else grid.removeAttribute('aria-activedescendant');
  };
  const activate = (at: number, reveal: boolean) => {
    active = Math.min(entries.length - 1, Math.max(-1, at));
    if (reveal && active >= 0) scrollTo(scroller, active, rowHeight(), head.offsetHeight);
    draw(false);
    use.selected(entries[active] ?? null);
  };
  scroller.addEventListener('scroll', () => draw(false), { passive: true });
  new ResizeObserver(() => {
    body.style.height = `${entries.length * rowHeight()}px`;
    draw(true);
  }).observe(scroller);
  body.addEventListener('click', ({ target }) => {
    const row = target instanceof Element ? target.closest('[role=row]') : null;
    if (row !== null) activate(Number(row.id.slice('row-'.length)), false);
  });
  grid.addEventListener('keydown', (event) => {
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight()) - 2);
    const to = targetOf(event.key, active, entries.length, page);
    if (to === null && event.key !== 'Enter') return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (to === null) use.enter();
    else activate(to, true);
  });
  return {
    show: (next) => {
      const chosen = entries[active];
      entries = next;
      active = chosen === undefined ? -1 : next.findIndex(({ event }) => isSame(event, chosen.event));
      body.style.height = `${next.length * rowHeight()}px`;
      grid.setAttribute('aria-rowcount', String(next.length + 1));
      empty.hidden = next.length > 0;
      grid.classList.toggle(
        'processes',
        next.some(({ event }) => event.process !== null),
      );
      draw(true);
    },
    select: (name) => {
      const at = name === null ? -1 : entries.findIndex(({ event }) => entryName(event) === name);
      if (at !== active) activate(at, true);
    },
    focus: () => grid.focus(),
  };
}

export function verdictMark(event: PageEvent): Node {
  const choice = choiceOf(event);
  const text = choice === 'other' ? event.kind : CHOICE_TEXT[choice];
  return el('span', { class: `mark ${choice}` }, event.muted ? `${text}, muted` : text);
}

function hostCell({ host, port, text, count }: PageEvent): readonly Child[] {
  return [
    host === '' ? null : el('b', {}, shortOf(formatAuthority({ host, port }))),
    count > 1 ? el('span', { class: 'times' }, ` \u00d7${formatCount(count)}`) : null,
    text === '' ? null : el('span', { class: 'dim' }, `${host === '' ? '' : ' '}${shortOf(text)}`),
  ];
}

function rowOf(event: PageEvent, at: number, height: number): HTMLElement {
  const cells = COLUMNS.map(({ name, cell }) =>
    el('span', { class: `c-${name}`, role: 'gridcell' }, ...cell(event)),
  );
  const place = { id: `row-${at}`, role: 'row', class: `row ${choiceOf(event)}`, 'aria-rowindex': at + 2 };
  const row = el('div', place, ...cells);
  row.style.transform = `translateY(${at * height}px)`;
  return row;
}

function targetOf(key: string, active: number, count: number, page: number): number | null {
  switch (key) {
    case 'ArrowDown':
      return active + 1;
    case 'ArrowUp':
      return Math.max(0, active - 1);
    case 'PageDown':
      return active + page;
    case 'PageUp':
      return Math.max(0, active - page);
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}

/** The head sticks to the upper edge and covers what lies there. */
function scrollTo(scroller: HTMLElement, at: number, height: number, covered: number): void {
  const top = at * height;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  const lowest = scroller.clientHeight - covered - height;
  if (top > scroller.scrollTop + lowest) scroller.scrollTop = top - lowest;
}

function isSame(a: PageEvent, b: PageEvent): boolean {
  return a.run === b.run && a.seq === b.seq;
}

function shortOf(text: string): string {
  return seen(text.length > CELL_TEXT ? `${text.slice(0, CELL_TEXT)}\u2026` : text);
}

/** The file's name and the line; the details have all of it. */
function endOf(text: string): string {
  return text.split('/').at(-1) ?? text;
}
