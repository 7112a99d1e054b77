/** Everything about one entry: what decided it, where that stands, and what to paste to turn it. */
import { REASONS } from '../../../policies/reasons.ts';
import { formatAuthority, formatBytes, formatRulePlace } from '../../phrases.ts';
import { type Entry, type Filters, ruleKey } from '../filter.ts';
import type { PageEvent, PageSummary } from '../model.ts';
import { type Child, el, seen } from './dom.ts';
import type { PageHooks } from './hooks.ts';
import { verdictMark } from './list.ts';
import { formatDuration, formatTime, plural } from './words.ts';

/** Either side of an entry, for what happened around it. */
const AROUND_MS = 5_000;

export interface DetailsUse {
  readonly summary: () => PageSummary;
  readonly narrow: (change: Partial<Filters>) => void;
  readonly hooks: PageHooks;
}

export function showDetails(place: HTMLElement, entry: Entry | null, use: DetailsUse): void {
  if (entry === null) {
    place.replaceChildren(
      el('h3', { id: 'details-heading', tabindex: -1 }, 'Details'),
      el('p', { class: 'empty' }, 'Choose an event to see what decided it.'),
    );
    return;
  }
  const { event } = entry;
  const actions = el('div', { class: 'actions' });
  const shown: readonly Child[] = [
    el('h3', { id: 'details-heading', tabindex: -1 }, titleOf(event)),
    el('p', {}, verdictMark(event), ' ', reasonText(event)),
    ...because(event),
    ...suggestion(event),
    el(
      'dl',
      { class: 'facts' },
      ...factsOf(event, use.summary()).map(([label, value]) => fact(label, value)),
    ),
    ...question(event, use.summary()),
    el('div', { class: 'buttons' }, ...narrowing(event, use)),
    actions,
  ];
  place.replaceChildren(...shown.filter((child) => child !== null));
  use.hooks.renderActions?.(event, actions);
}

function titleOf(event: PageEvent): string {
  const { host, port, kind, text } = event;
  return seen(host === '' ? `${kind} ${text}` : formatAuthority({ host, port }));
}

function reasonText({ reason }: PageEvent): string {
  return reason === null ? '' : REASONS[reason];
}

function because({ rule, detail }: PageEvent): readonly Child[] {
  return [
    detail === null ? null : el('p', { class: 'detail' }, seen(detail)),
    rule?.because === undefined ? null : el('p', { class: 'because' }, 'Because: ', seen(rule.because)),
  ];
}

/** A rule to paste, or a question about the pattern that was meant. */
function suggestion({ suggestion: text }: PageEvent): readonly Child[] {
  if (text === null) return [];
  if (!text.startsWith('- ')) return [el('p', { class: 'detail' }, seen(text))];
  return [
    el(
      'div',
      { class: 'paste' },
      el('span', {}, 'To allow it'),
      el('code', {}, seen(text)),
      copyButton(text),
    ),
  ];
}

function factsOf(event: PageEvent, { runs }: PageSummary): readonly (readonly [string, string])[] {
  const { rule, process, close } = event;
  const facts: (readonly [string, string | null])[] = [
    ['Time', formatTime(event.timeMs)],
    ['Event', runs.length > 1 ? `${event.seq} of run ${runs[event.run]?.id ?? '?'}` : String(event.seq)],
    ['Kind', event.kind === event.how ? event.kind : `${event.kind}, ${event.how}`],
    ['Asked', event.text],
    ['Times', event.count > 1 ? plural(event.count, 'refusal') : null],
    ['Reason', event.reason],
    ['Rule', rule === null ? (event.verdict === null ? null : 'none') : rule.id],
    ['Stands in', rule === null ? null : formatRulePlace(rule)],
    ['Process', process === null ? null : `${process.pid}  ${process.command}`],
    ['Asked by', event.asker === 'host' ? 'a person on the host' : null],
    ['Bytes', close === null ? null : `${formatBytes(close.bytesOut)} out, ${formatBytes(close.bytesIn)} in`],
    ['Took', close === null ? null : formatDuration(close.durationMs)],
    ['Ended', close === null || close.reason === null ? null : `${close.reason}: ${REASONS[close.reason]}`],
    ['', close === null ? null : close.detail],
    ...event.facts.map(([label, value]) => [label, value] as const),
  ];
  return facts.flatMap(([label, value]) => (value === null || value === '' ? [] : [[label, value] as const]));
}

function question(event: PageEvent, { runs }: PageSummary): readonly Child[] {
  const run = runs[event.run]?.id;
  if (event.verdict === null || run === undefined) return [];
  const command = `sand why '${run}#${event.seq}'`;
  return [
    el('div', { class: 'paste' }, el('span', {}, 'More'), el('code', {}, command), copyButton(command)),
  ];
}

function narrowing(event: PageEvent, { narrow }: DetailsUse): readonly Child[] {
  const { host, timeMs } = event;
  const rule = ruleKey(event);
  const button = (text: string, change: Partial<Filters>) => {
    const made = el('button', { type: 'button' }, text);
    made.addEventListener('click', () => narrow(change));
    return made;
  };
  return [
    host === '' ? null : button('Only this host', { host }),
    rule === null ? null : button('Only this rule', { rule }),
    button('Around this time', { fromMs: timeMs - AROUND_MS, toMs: timeMs + AROUND_MS }),
  ];
}

function fact(label: string, value: string): Child {
  return el('div', {}, el('dt', {}, label), el('dd', {}, seen(value)));
}

function copyButton(text: string): HTMLButtonElement {
  const button = el('button', { type: 'button', 'aria-label': `Copy ${seen(text)}` }, 'Copy');
  button.addEventListener('click', () => {
    const told = (what: string) => {
      button.textContent = what;
    };
    navigator.clipboard.writeText(text).then(
      () => told('Copied'),
      () => told('Not copied'),
    );
  });
  return button;
}
