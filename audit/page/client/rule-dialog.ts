/**
 * Allow, deny or mute on an event: shows the patch and what it opens and closes before anything is written, and says
 * what is left to do after. What is written is the server's alone; this names an event and an action.
 */
import type { PageEvent, PageLive } from '../model.ts';
import { type Child, el } from './dom.ts';

export type Action = 'allow' | 'deny' | 'mute';

type Offer =
  | { readonly kind: 'refused'; readonly message: string; readonly hint: string }
  | {
      readonly kind: 'offered';
      readonly id: string;
      readonly subjects: readonly string[];
      readonly file: string;
      readonly path: string;
      readonly isNew: boolean;
      readonly changed: boolean;
      readonly patch: string;
      readonly difference: string;
      readonly widens: number;
      readonly notes: readonly string[];
      readonly warnings: readonly string[];
      readonly stillDenied: readonly string[];
    };

type Applied =
  | {
      readonly kind: 'written';
      readonly file: string;
      readonly inForce: boolean;
      readonly next: string;
      readonly command: string | null;
    }
  | { readonly kind: 'stale' | 'gone'; readonly message: string };

type Failed = { readonly kind: 'failed'; readonly message: string; readonly hint: string };

const TITLES: Readonly<Record<Action, string>> = { allow: 'Allow', deny: 'Deny', mute: 'Mute' };

export async function showAction(live: PageLive, event: PageEvent, action: Action): Promise<void> {
  const dialog = el('dialog', { class: 'rule', 'aria-labelledby': 'rule-heading' });
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.showModal();
  await propose(dialog, live, event, action);
}

async function propose(
  dialog: HTMLDialogElement,
  live: PageLive,
  event: PageEvent,
  action: Action,
): Promise<void> {
  const again = () => void propose(dialog, live, event, action);
  fill(
    dialog,
    `${TITLES[action]}\u2026`,
    [el('p', { class: 'dim' }, 'Working out what this changes\u2026')],
    [],
  );
  const offer = await send<Offer>(live, 'proposals', { run: live.run, seq: event.seq, action });
  if (offer.kind !== 'offered') {
    const title = offer.kind === 'refused' ? 'No rule for this' : 'Nothing is written';
    fill(dialog, title, [paragraph('', `${offer.message}.`), paragraph('dim', offer.hint)], []);
    return;
  }
  const title = `${TITLES[action]} ${offer.subjects.join(', ')}`;
  if (!offer.changed) {
    fill(dialog, title, [paragraph('', `${offer.file} says so already.`), ...warnings(offer)], []);
    return;
  }
  const write = el(
    'button',
    { type: 'button', class: 'primary', id: 'rule-write' },
    `Write to ${offer.file}`,
  );
  write.onclick = async () => {
    write.disabled = true;
    write.textContent = 'Writing\u2026';
    showApplied(dialog, title, await send<Applied>(live, `proposals/${offer.id}/apply`, {}), again);
  };
  fill(dialog, title, bodyOf(offer), [write]);
  write.focus();
}

function bodyOf(offer: Extract<Offer, { readonly kind: 'offered' }>): readonly Child[] {
  return [
    ...offer.notes.map((note) => paragraph('', note)),
    ...warnings(offer),
    el('h3', {}, 'What it opens and closes'),
    el('pre', { id: 'rule-difference', tabindex: 0 }, ...linesOf(offer.difference, differenceClass)),
    el('h3', {}, `Patch of ${offer.path}${offer.isNew ? ', which is not there yet' : ''}`),
    el('pre', { id: 'rule-patch', tabindex: 0 }, ...linesOf(offer.patch, patchClass)),
  ];
}

function warnings({
  stillDenied,
  warnings: more,
}: Extract<Offer, { readonly kind: 'offered' }>): readonly Child[] {
  const texts = [...stillDenied, ...more];
  return texts.length === 0
    ? []
    : [el('div', { class: 'callout' }, ...texts.map((text) => paragraph('', text)))];
}

function showApplied(
  dialog: HTMLDialogElement,
  title: string,
  applied: Applied | Failed,
  again: () => void,
): void {
  switch (applied.kind) {
    case 'written':
      fill(
        dialog,
        title,
        [
          el('p', { id: 'rule-written' }, el('strong', {}, `Written to ${applied.file}.`)),
          paragraph(applied.inForce ? 'good-text' : '', applied.next),
          applied.command === null ? null : el('pre', {}, ...linesOf(applied.command, () => 'line')),
        ],
        [],
      );
      return;
    case 'stale':
    case 'gone': {
      const retry = el('button', { type: 'button', class: 'primary', id: 'rule-again' }, 'Look at it again');
      retry.onclick = again;
      fill(dialog, title, [el('div', { class: 'callout' }, paragraph('', applied.message))], [retry]);
      retry.focus();
      return;
    }
    case 'failed':
      fill(
        dialog,
        'Nothing is written',
        [paragraph('', `${applied.message}.`), paragraph('dim', applied.hint)],
        [],
      );
  }
}

function fill(
  dialog: HTMLDialogElement,
  title: string,
  body: readonly Child[],
  buttons: readonly HTMLButtonElement[],
): void {
  const close = el('button', { type: 'button', id: 'rule-close' }, buttons.length === 0 ? 'Close' : 'Cancel');
  close.onclick = () => dialog.close();
  dialog.replaceChildren(
    el('h2', { id: 'rule-heading' }, title),
    el('div', { class: 'rule-body' }, ...body),
    el('div', { class: 'rule-buttons' }, ...buttons, close),
  );
  if (buttons.length === 0) close.focus();
}

function paragraph(kind: string, text: string): HTMLElement {
  return el('p', { class: kind === '' ? null : kind }, text);
}

function linesOf(text: string, kindOf: (line: string) => string): readonly Node[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => el('span', { class: kindOf(line) }, `${line}\n`));
}

function patchClass(line: string): string {
  if (/^(?:---|\+\+\+|@@) /.test(line)) return 'line hunk';
  if (line.startsWith('+')) return 'line added';
  return line.startsWith('-') ? 'line removed' : 'line';
}

function differenceClass(line: string): string {
  if (line.startsWith('widens')) return 'line widens';
  return line.startsWith('narrows') ? 'line narrows' : 'line';
}

/** Every failure is a value: the dialog shows it. */
async function send<T>(live: PageLive, path: string, body: unknown): Promise<T | Failed> {
  try {
    const response = await fetch(`${live.api}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-sand-csrf': live.csrf },
      body: JSON.stringify(body),
    });
    if (response.ok) return (await response.json()) as T;
    const isJson = response.headers.get('content-type') === 'application/json';
    if (!isJson) return failed((await response.text()).trim(), 'Load the page again.');
    const { error } = (await response.json()) as { readonly error: { message: string; hint: string } };
    return failed(error.message, error.hint);
  } catch {
    return failed('The page does not reach sand audit ui', 'Has it ended? Start it again.');
  }
}

function failed(message: string, hint: string): Failed {
  return { kind: 'failed', message, hint };
}
