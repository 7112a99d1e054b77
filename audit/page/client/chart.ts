/**
 * Verdicts over time as stacked bars, drawn here without a library. Dragging over it chooses a time range; the same
 * figures stand in a sentence and in a table for who does not see it.
 */
import { VERDICT_TEXT } from '../../phrases.ts';
import type { PageBar, PageRun } from '../model.ts';
import { type Child, el, seen, svg } from './dom.ts';
import { formatClock, formatCommand, formatCount, formatDuration } from './words.ts';

export const SERIES = [
  { key: 'denied', text: VERDICT_TEXT.denied },
  { key: 'would', text: VERDICT_TEXT['would-be-denied'] },
  { key: 'failed', text: VERDICT_TEXT.failed },
  { key: 'allowed', text: VERDICT_TEXT.allowed },
  { key: 'muted', text: 'muted' },
] as const;

/** Units of the drawing's height; the least that a bar takes of it, so that one denial among thousands is seen. */
const HEIGHT = 100;
const LEAST = 3;
const LEAST_COLUMNS = 40;
/** Rows of the table in the place of the chart. */
const TABLE_ROWS = 24;
/** Movement below this is a click. */
const DRAG_PX = 4;

export interface Range {
  readonly fromMs: number | null;
  readonly toMs: number | null;
}

export interface Chart {
  readonly element: HTMLElement;
  markRange(range: Range): void;
}

export function createChart(run: PageRun, titled: boolean, choose: (range: Range) => void): Chart {
  const { bars, fromMs, stepMs } = run.timeline;
  const isEmpty = bars.every((bar) => sumOf(bar) === 0);
  const readout = el('p', { class: 'readout', 'aria-hidden': 'true' });
  const brush = el('div', { class: 'brush', hidden: true });
  const most = Math.max(1, ...bars.map(sumOf));
  const plot = el(
    'div',
    { class: 'plot' },
    drawing(bars, most, describe(run)),
    el('span', { class: 'most', 'aria-hidden': 'true' }, formatCount(most)),
    brush,
  );
  const spanMs = columnsOf(bars) * stepMs;
  const idle = `${formatDuration(stepMs)} a bar; drag to choose a time range`;
  readout.textContent = idle;
  const timeAt = (share: number) => fromMs + Math.round((share * spanMs) / stepMs) * stepMs;
  const mark = (from: number, to: number) => {
    brush.hidden = false;
    brush.style.left = `${Math.max(0, from) * 100}%`;
    brush.style.width = `${Math.max(0, Math.min(1, to) - Math.max(0, from)) * 100}%`;
  };
  followPointer(plot, {
    over: (share) => {
      const at = Math.min(bars.length - 1, Math.floor(share * columnsOf(bars)));
      const bar = bars[at];
      if (bar !== undefined) readout.textContent = `${formatClock(fromMs + at * stepMs)}  ${wordsOf(bar)}`;
    },
    out: () => {
      readout.textContent = idle;
    },
    drag: (from, to) => mark(from, to),
    dragged: (from, to) =>
      choose({ fromMs: timeAt(from), toMs: Math.max(timeAt(to), timeAt(from) + stepMs) }),
    clicked: () => choose({ fromMs: null, toMs: null }),
  });
  const element = el(
    'figure',
    { class: 'chart' },
    titled
      ? el(
          'figcaption',
          {},
          seen(formatCommand(run.command) || run.id),
          ' ',
          el('span', { class: 'dim' }, run.id),
        )
      : null,
    isEmpty ? el('p', { class: 'empty' }, 'Nothing was asked.') : plot,
    isEmpty ? null : ticks(fromMs, spanMs),
    isEmpty ? null : readout,
    isEmpty ? null : tableOf(run),
  );
  return {
    element,
    markRange: ({ fromMs: from, toMs: to }) => {
      if (from === null && to === null) brush.hidden = true;
      else mark(((from ?? fromMs) - fromMs) / spanMs, ((to ?? fromMs + spanMs) - fromMs) / spanMs);
    },
  };
}

/** One path a series, so that a chart is a handful of nodes however long the run. */
function drawing(bars: readonly PageBar[], most: number, label: string): SVGElement {
  const paths = SERIES.map(() => '');
  bars.forEach((bar, at) => {
    let top = HEIGHT;
    bar.forEach((count, place) => {
      if (count === 0) return;
      const height = Math.max(LEAST, (count / most) * (HEIGHT - LEAST * 3));
      top -= height;
      paths[place] += `M${at + 0.08} ${top.toFixed(2)}h.84v${height.toFixed(2)}h-.84z`;
    });
  });
  return svg(
    'svg',
    {
      viewBox: `0 0 ${columnsOf(bars)} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': label,
    },
    ...SERIES.map(({ key }, place) => svg('path', { class: `fill-${key}`, d: paths[place] ?? '' })),
  );
}

function describe({ timeline }: PageRun): string {
  const { bars, fromMs, stepMs } = timeline;
  const sums = SERIES.map((_, place) =>
    bars.reduce((sum, bar) => sum + (bar[place] ?? 0), 0),
  ) as unknown as PageBar;
  const worst = bars.reduce((at, bar, now) => (bar[0] > (bars[at]?.[0] ?? 0) ? now : at), 0);
  const peak =
    sums[0] === 0
      ? ''
      : ` Most denials at ${formatClock(fromMs + worst * stepMs)}: ${bars[worst]?.[0] ?? 0}.`;
  const end = formatClock(fromMs + bars.length * stepMs);
  return `Decisions from ${formatClock(fromMs)} to ${end}, UTC: ${wordsOf(sums)}.${peak}`;
}

function wordsOf(bar: PageBar): string {
  const told = SERIES.flatMap(({ text }, place) =>
    (bar[place] ?? 0) === 0 ? [] : [`${formatCount(bar[place] ?? 0)} ${text}`],
  );
  return told.length === 0 ? 'nothing' : told.join(', ');
}

/** A short run does not fill the width: its bars would be walls. */
function columnsOf(bars: readonly PageBar[]): number {
  return Math.max(bars.length, LEAST_COLUMNS);
}

function sumOf(bar: PageBar): number {
  return bar.reduce((sum, count) => sum + count, 0);
}

function ticks(fromMs: number, spanMs: number): Child {
  const shares = [0, 0.25, 0.5, 0.75, 1];
  return el(
    'div',
    { class: 'ticks', 'aria-hidden': 'true' },
    ...shares.map((share) =>
      el('span', {}, formatClock(fromMs + share * spanMs).slice(0, spanMs < 8000 ? 12 : 8)),
    ),
  );
}

/** Made when it is opened. */
function tableOf({ timeline: { bars, fromMs, stepMs } }: PageRun): Child {
  const details = el('details', { class: 'as-table' }, el('summary', {}, 'As a table'));
  const step = Math.max(1, Math.ceil(bars.length / TABLE_ROWS));
  const open = () => {
    const rows: Node[] = [];
    for (let at = 0; at < bars.length; at += step) {
      const sums = SERIES.map((_, place) =>
        bars.slice(at, at + step).reduce((sum, bar) => sum + (bar[place] ?? 0), 0),
      );
      const time = el('th', { scope: 'row' }, formatClock(fromMs + at * stepMs));
      rows.push(el('tr', {}, time, ...sums.map((sum) => el('td', { class: 'number' }, formatCount(sum)))));
    }
    const heads = ['From (UTC)', ...SERIES.map(({ text }) => text)];
    const head = el('tr', {}, ...heads.map((text) => el('th', { scope: 'col' }, text)));
    details.append(el('table', {}, el('thead', {}, head), el('tbody', {}, ...rows)));
  };
  details.addEventListener('toggle', open, { once: true });
  return details;
}

interface PointerUse {
  readonly over: (share: number) => void;
  readonly out: () => void;
  readonly drag: (from: number, to: number) => void;
  readonly dragged: (from: number, to: number) => void;
  readonly clicked: () => void;
}

function followPointer(plot: HTMLElement, use: PointerUse): void {
  let startX: number | null = null;
  const shareAt = (x: number) => {
    const { left, width } = plot.getBoundingClientRect();
    return Math.min(1, Math.max(0, (x - left) / Math.max(1, width)));
  };
  const between = (x: number) => {
    const shares = [shareAt(startX ?? x), shareAt(x)].sort((a, b) => a - b);
    return [shares[0] ?? 0, shares[1] ?? 0] as const;
  };
  plot.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    startX = event.clientX;
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener('pointermove', (event) => {
    use.over(shareAt(event.clientX));
    if (startX !== null && Math.abs(event.clientX - startX) >= DRAG_PX) use.drag(...between(event.clientX));
  });
  plot.addEventListener('pointerup', (event) => {
    if (startX === null) return;
    const [from, to] = between(event.clientX);
    const isDrag = Math.abs(event.clientX - startX) >= DRAG_PX;
    startX = null;
    if (isDrag) use.dragged(from, to);
    else use.clicked();
  });
  plot.addEventListener('pointercancel', () => {
    startX = null;
  });
  plot.addEventListener('pointerleave', () => use.out());
}
