/** Hosts by denials and by bytes, every host with every figure, and lookups beside connections. */
import { REASONS } from '../../../policies/reasons.ts';
import { formatBytes, VERDICT_TEXT } from '../../phrases.ts';
import type { TopRow } from '../../top.ts';
import type { PageName, PageSummary } from '../model.ts';
import { el, seen, svg } from './dom.ts';
import { formatCount, plural } from './words.ts';

/** Hosts in a panel, rows of a table at once, names at once. */
const PANEL_HOSTS = 8;
const TABLE_ROWS = 100;
const NAMES = 12;

type Choose = (host: string) => void;

export function totals({ totals: sums, runs }: PageSummary): readonly Node[] {
  const isReport = runs.some(({ policy }) => policy !== null && policy.mode !== 'enforce');
  const tile = (kind: string, label: string, value: string) =>
    el('div', { class: `tile ${kind}` }, el('dt', {}, label), el('dd', {}, value));
  return [
    tile(sums.denied === 0 ? 'quiet' : 'denied', 'denied', formatCount(sums.denied)),
    ...(sums.wouldBeDenied > 0 || isReport
      ? [tile('would-be-denied', 'would be denied', formatCount(sums.wouldBeDenied))]
      : []),
    tile(sums.failed === 0 ? 'quiet' : 'failed', 'failed', formatCount(sums.failed)),
    tile('allowed', 'allowed', formatCount(sums.allowed)),
    tile('quiet', 'DNS lookups', formatCount(sums.lookups)),
    tile('quiet', 'bytes out', formatBytes(sums.bytesOut)),
    tile('quiet', 'bytes in', formatBytes(sums.bytesIn)),
    ...(sums.muted > 0 ? [tile('quiet', 'muted, not counted', formatCount(sums.muted))] : []),
  ];
}

export function hostPanels({ hosts }: PageSummary, choose: Choose): readonly Node[] {
  const refused = (row: TopRow) => row.denied + row.wouldBeDenied;
  const moved = (row: TopRow) => row.bytesOut + row.bytesIn;
  return [
    panel({
      title: 'By denials',
      none: 'Nothing was denied.',
      rows: best(hosts, refused),
      parts: (row) => [
        ['denied', row.denied],
        ['would', row.wouldBeDenied],
      ],
      text: (row) =>
        [
          row.denied > 0 ? `${formatCount(row.denied)} denied` : '',
          row.wouldBeDenied > 0 ? `${formatCount(row.wouldBeDenied)} would be` : '',
        ]
          .filter(Boolean)
          .join(', '),
      choose,
    }),
    panel({
      title: 'By bytes',
      none: 'Nothing was moved.',
      rows: best(hosts, moved),
      parts: (row) => [
        ['out', row.bytesOut],
        ['in', row.bytesIn],
      ],
      text: (row) => `${formatBytes(row.bytesOut)} out, ${formatBytes(row.bytesIn)} in`,
      choose,
    }),
  ];
}

interface Panel {
  readonly title: string;
  readonly none: string;
  readonly rows: readonly TopRow[];
  readonly parts: (row: TopRow) => readonly (readonly [string, number])[];
  readonly text: (row: TopRow) => string;
  readonly choose: Choose;
}

function panel({ title, none, rows, parts, text, choose }: Panel): Node {
  const sum = (row: TopRow) => parts(row).reduce((total, [, value]) => total + value, 0);
  const most = Math.max(1, ...rows.map(sum));
  const body = rows.map((row) =>
    el(
      'tr',
      {},
      el('th', { scope: 'row' }, hostButton(row.host, choose)),
      el('td', { class: 'bar' }, bar(parts(row), most)),
      el('td', { class: 'number' }, text(row)),
    ),
  );
  const heads = ['Host', 'Share', title.replace('By ', '')].map((name) => el('th', { scope: 'col' }, name));
  return el(
    'div',
    { class: 'panel' },
    rows.length === 0
      ? el('h3', {}, title)
      : el(
          'table',
          {},
          el('caption', {}, el('h3', {}, title)),
          el('thead', { class: 'unseen' }, el('tr', {}, ...heads)),
          el('tbody', {}, ...body),
        ),
    rows.length === 0 ? el('p', { class: 'empty' }, none) : null,
  );
}

function bar(parts: readonly (readonly [string, number])[], most: number): Node {
  let x = 0;
  const rects = parts.map(([name, value]) => {
    const width = value === 0 ? 0 : Math.max(0.6, (value / most) * 100);
    const rect = svg('rect', {
      class: `fill-${name}`,
      x: x.toFixed(2),
      y: 0,
      width: width.toFixed(2),
      height: 10,
    });
    x += width;
    return rect;
  });
  return svg('svg', { viewBox: '0 0 101 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, ...rects);
}

function best(hosts: readonly TopRow[], value: (row: TopRow) => number): readonly TopRow[] {
  return hosts
    .filter((row) => value(row) > 0)
    .toSorted((a, b) => value(b) - value(a))
    .slice(0, PANEL_HOSTS);
}

const FIGURES: readonly (readonly [string, (row: TopRow) => string])[] = [
  ['requests', (row) => formatCount(row.requests)],
  ['denied', (row) => formatCount(row.denied)],
  ['would be', (row) => formatCount(row.wouldBeDenied)],
  ['failed', (row) => formatCount(row.failed)],
  ['allowed', (row) => formatCount(row.allowed)],
  ['lookups', (row) => formatCount(row.lookups)],
  ['out', (row) => formatBytes(row.bytesOut)],
  ['in', (row) => formatBytes(row.bytesIn)],
  ['first', (row) => row.first.slice(11, 23)],
  ['last', (row) => row.last.slice(11, 23)],
];

export function hostTable({ hosts, hostCount }: PageSummary, choose: Choose): readonly Node[] {
  if (hosts.length === 0) return [el('p', { class: 'empty' }, 'No host was asked for.')];
  const head = el(
    'tr',
    {},
    el('th', { scope: 'col' }, 'host'),
    ...FIGURES.map(([name]) => el('th', { scope: 'col', class: 'number' }, name)),
  );
  const body = el('tbody', {});
  const table = el(
    'table',
    { class: 'figures' },
    el('caption', { class: 'unseen' }, 'All hosts'),
    el('thead', {}, head),
    body,
  );
  const rowOf = (row: TopRow) =>
    el(
      'tr',
      { 'data-host': row.host },
      el('th', { scope: 'row' }, hostButton(row.host, choose)),
      ...FIGURES.map(([, of]) => el('td', { class: 'number' }, of(row))),
    );
  const more = moreButton(hosts, TABLE_ROWS, (rows) => body.append(...rows.map(rowOf)));
  const left = hostCount - hosts.length;
  const note =
    left > 0
      ? el(
          'p',
          { class: 'note' },
          `${plural(left, 'more host')} in the log; sand audit top lists them. The totals count them.`,
        )
      : null;
  return [table, more, note].filter((node) => node !== null);
}

export function nameRows({ names }: PageSummary, choose: Choose): readonly Node[] {
  if (names.length === 0)
    return [el('p', { class: 'empty' }, 'No name was looked up, and nothing connected to.')];
  const head = ['Host', 'Looked up', 'Connected to'].map((text) => el('th', { scope: 'col' }, text));
  const body = el('tbody', {});
  const table = el(
    'table',
    { class: 'names' },
    el('caption', { class: 'unseen' }, 'Lookups beside connections'),
    el('thead', {}, el('tr', {}, ...head)),
    body,
  );
  const more = moreButton(names, NAMES, (rows) => body.append(...rows.map((name) => nameRow(name, choose))));
  return [table, more].filter((node) => node !== null);
}

function nameRow({ host, lookups, connections, more }: PageName, choose: Choose): Node {
  const times = (count: number) =>
    count > 1 ? el('span', { class: 'times' }, ` \u00d7${formatCount(count)}`) : null;
  const asked = lookups.map(({ type, rcode, verdict, reason, count, answers }) =>
    el(
      'li',
      { class: verdict, title: REASONS[reason] },
      el('b', {}, seen(type)),
      times(count),
      ` ${seen([rcode, ...answers].join(' '))}`,
      el('span', { class: `mark ${verdict}` }, VERDICT_TEXT[verdict]),
    ),
  );
  const reached = connections.map(({ port, how, verdict, reason, count, bytesOut, bytesIn }) =>
    el(
      'li',
      { class: verdict, title: REASONS[reason] },
      el('b', {}, `${port} ${how}`),
      times(count),
      bytesOut + bytesIn === 0 ? null : ` ${formatBytes(bytesOut)} out, ${formatBytes(bytesIn)} in`,
      el('span', { class: `mark ${verdict}` }, VERDICT_TEXT[verdict]),
    ),
  );
  const none = (text: string) => el('span', { class: 'dim' }, text);
  return el(
    'tr',
    {},
    el('th', { scope: 'row' }, hostButton(host, choose)),
    el('td', {}, asked.length === 0 ? none('never') : el('ul', {}, ...asked)),
    el(
      'td',
      {},
      reached.length === 0 ? none('never') : el('ul', {}, ...reached),
      more > 0 ? none(`and ${formatCount(more)} more kinds`) : null,
    ),
  );
}

function hostButton(host: string, choose: Choose): Node {
  const button = el(
    'button',
    { type: 'button', class: 'host', title: `Events of ${seen(host)}` },
    seen(host),
  );
  button.addEventListener('click', () => choose(host));
  return button;
}

/** Adds the first rows at once and the next on each press; null when all are there. */
function moreButton<T>(all: readonly T[], step: number, add: (rows: readonly T[]) => void): Node | null {
  let shown = Math.min(step, all.length);
  add(all.slice(0, shown));
  if (shown === all.length) return null;
  const button = el('button', { type: 'button', class: 'more' });
  const label = () => {
    button.textContent = `Show ${formatCount(Math.min(step, all.length - shown))} more of ${formatCount(all.length)}`;
  };
  button.addEventListener('click', () => {
    add(all.slice(shown, shown + step));
    shown = Math.min(all.length, shown + step);
    if (shown === all.length) button.remove();
    else label();
  });
  label();
  return button;
}
