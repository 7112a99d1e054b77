/** The filters above the list: reads them from their fields and writes them there. */
import {
  CHOICES,
  type Choice,
  type Entry,
  type Filters,
  type Found,
  formatTimeField,
  ORDERS,
  type Order,
  parseTime,
  ruleKey,
} from '../filter.ts';
import type { PageSummary } from '../model.ts';
import { choice, el, field, place, seen } from './dom.ts';
import { CHOICE_TEXT, formatCommand, formatCount } from './words.ts';

/** Rules in the list of rules, and hosts that the field of the host proposes. */
const OPTIONS = 300;
/** A person types faster than twenty thousand entries are worth searching for each letter. */
const TYPING_MS = 120;

const ORDER_TEXT: Readonly<Record<Order, string>> = {
  denied: 'denied first',
  time: 'oldest first',
  newest: 'newest first',
  bytes: 'most bytes first',
  longest: 'longest first',
};

export interface Controls {
  show(filters: Filters): void;
  /** What there is to choose from. */
  offer(entries: readonly Entry[], summary: PageSummary): void;
  count(found: Found): void;
}

export function createControls(
  current: () => Filters,
  change: (change: Partial<Filters>) => void,
  clear: () => void,
): Controls {
  const chips = new Map<Choice, { readonly box: HTMLInputElement; readonly count: HTMLElement }>();
  for (const name of CHOICES) {
    const box = el('input', { type: 'checkbox', value: name });
    const count = el('span', { class: 'count' });
    place('verdicts').append(
      el('label', { class: `chip ${name}` }, box, el('span', {}, CHOICE_TEXT[name]), count),
    );
    chips.set(name, { box, count });
    box.addEventListener('change', () =>
      change({ verdicts: CHOICES.filter((one) => chips.get(one)?.box.checked) }),
    );
  }
  for (const order of ORDERS) choice('order').append(el('option', { value: order }, ORDER_TEXT[order]));
  const typed = (id: string, read: (text: string) => Partial<Filters>) => {
    let waiting: ReturnType<typeof setTimeout> | undefined;
    field(id).addEventListener('input', () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => change(read(field(id).value)), TYPING_MS);
    });
  };
  typed('search', (search) => ({ search }));
  typed('host', (text) => ({ host: text.trim() === '' ? null : text.trim() }));
  const chosen = (id: string, read: (value: string) => Partial<Filters>) =>
    choice(id).addEventListener('change', () => change(read(choice(id).value)));
  chosen('kind', (kind) => ({ kind: kind === '' ? null : kind }));
  chosen('rule', (rule) => ({ rule: rule === '' ? null : rule }));
  chosen('run', (run) => ({ run: run === '' ? null : Number(run) }));
  chosen('order', (value) => ({ order: ORDERS.find((order) => order === value) ?? 'denied' }));
  let dayMs = 0;
  const timed = (id: 'from' | 'to', set: (timeMs: number | null) => Partial<Filters>) =>
    field(id).addEventListener('change', () => {
      const read = parseTime(field(id).value, dayMs);
      field(id).setAttribute('aria-invalid', String(read === undefined));
      if (read !== undefined) change(set(read));
    });
  timed('from', (fromMs) => ({ fromMs }));
  timed('to', (toMs) => ({ toMs }));
  field('muted').addEventListener('change', () => change({ muted: field('muted').checked }));
  place('clear').addEventListener('click', clear);
  place('filters').addEventListener('submit', (event) => event.preventDefault());

  return {
    show: (filters) => {
      setUnlessTyping('search', filters.search);
      setUnlessTyping('host', filters.host ?? '');
      for (const [name, { box }] of chips) box.checked = filters.verdicts.includes(name);
      pick('kind', filters.kind);
      pick('rule', filters.rule);
      pick('run', filters.run === null ? null : String(filters.run));
      pick('order', filters.order);
      field('from').value = formatTimeField(filters.fromMs, dayMs);
      field('to').value = formatTimeField(filters.toMs, dayMs);
      field('muted').checked = filters.muted;
    },
    offer: (entries, { runs }) => {
      dayMs = runs[0]?.startMs ?? entries[0]?.event.timeMs ?? 0;
      for (const id of ['from', 'to']) field(id).placeholder = new Date(dayMs).toISOString().slice(11, 19);
      const kinds = countBy(entries, ({ event }) => event.kind);
      const rules = countBy(entries, ruleOf);
      const hosts = countBy(entries, ({ event }) => event.host);
      offerAt('kind', 'all', kinds);
      offerAt('rule', 'any', rules);
      place('host-names').replaceChildren(...hosts.map(([host]) => el('option', { value: host })));
      place('run-label').hidden = runs.length < 2;
      const options = runs.map((run, at) =>
        el('option', { value: at }, seen(`${run.id}  ${formatCommand(run.command).slice(0, 60)}`)),
      );
      choice('run').replaceChildren(el('option', { value: '' }, 'all'), ...options);
      const filters = current();
      pick('kind', filters.kind);
      pick('rule', filters.rule);
      pick('run', filters.run === null ? null : String(filters.run));
      field('from').value = formatTimeField(filters.fromMs, dayMs);
      field('to').value = formatTimeField(filters.toMs, dayMs);
    },
    count: (found) => {
      for (const [name, { count }] of chips) {
        count.textContent = formatCount(found.counts[name]);
        count.classList.toggle('none', found.counts[name] === 0);
      }
      place('muted-label').hidden = found.mutedCount === 0 && !current().muted;
      place('muted-text').textContent =
        found.mutedCount > 0 ? `Muted too (${formatCount(found.mutedCount)})` : 'Muted too';
    },
  };
}

function ruleOf({ event }: Entry): string {
  return ruleKey(event) ?? '';
}

function countBy(
  entries: readonly Entry[],
  key: (entry: Entry) => string,
): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const entry of entries) counts.set(key(entry), (counts.get(key(entry)) ?? 0) + 1);
  counts.delete('');
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, OPTIONS);
}

function offerAt(id: string, none: string, options: readonly (readonly [string, number])[]): void {
  choice(id).replaceChildren(
    el('option', { value: '' }, none),
    ...options.map(([value, count]) => el('option', { value }, `${seen(value)} (${formatCount(count)})`)),
  );
}

/** A value that a link asks for and nothing on the page has is shown all the same. */
function pick(id: string, value: string | null): void {
  const select = choice(id);
  if (value !== null && ![...select.options].some((option) => option.value === value))
    select.append(el('option', { value }, seen(value)));
  select.value = value ?? '';
}

function setUnlessTyping(id: string, value: string): void {
  if (document.activeElement !== field(id) || value === '') field(id).value = value;
}
