/** The table of `sand verify`: what is open first, then what could not be told, then what held; a line or two each. Pure. */
import { clipText, escapeJson, escapeTerminal } from '../../audit/escape.ts';
import type { Isolation } from '../backends/backend.ts';
import type { Row } from './attack.ts';

const WIDTH = 100;
const LABELS = { open: 'OPEN  ', untold: '????  ', held: 'held  ', harmless: 'may   ' } as const;
const TRIED = 50;
/** Of one cell; what a guest said may be long. */
const CELL = 400;

type Label = keyof typeof LABELS;

/** Whose guest was tried; null where nobody asked for an isolation or a link. */
export interface TriedGuest {
  readonly backend: string;
  readonly isolation: Isolation | null;
  readonly link: string | null;
}

/** Ends with the counts and what they mean. Every cell is escaped: some of it a guest said. */
export function formatTable(rows: readonly Row[], guest: TriedGuest): string {
  const order: readonly Label[] = ['open', 'untold', 'harmless', 'held'];
  const lines = order.flatMap((label) => rows.filter((row) => labelOf(row) === label).flatMap(formatRow));
  const count = (label: Label) => rows.filter((row) => labelOf(row) === label).length;
  const counts = [
    `${count('held')} held`,
    `${count('open')} open`,
    `${count('untold')} could not be told`,
    ...(count('harmless') > 0
      ? [`${count('harmless')} need not hold on a kernel of the guest\u2019s own`]
      : []),
  ];
  return [...lines, '', counts.join(', '), conclusion(count('open'), count('untold'), guest), ''].join('\n');
}

export function formatJson(rows: readonly Row[]): string {
  return `${escapeJson(JSON.stringify(rows))}\n`;
}

function labelOf({ verdict, must }: Row): Label {
  return must || verdict === 'held' ? verdict : 'harmless';
}

function formatRow(row: Row): readonly string[] {
  const label = LABELS[labelOf(row)];
  const [tried = '', ...moreTried] = wrap(cell(row.tried), TRIED);
  const [happened = '', ...more] = wrap(cell(row.happened), WIDTH - label.length - TRIED - 2);
  const rest = Array.from({ length: Math.max(moreTried.length, more.length) }, (_, at) =>
    `${' '.repeat(label.length)}${(moreTried[at] ?? '').padEnd(TRIED)}  ${more[at] ?? ''}`.trimEnd(),
  );
  return [`${label}${tried.padEnd(TRIED)}  ${happened}`, ...rest];
}

function cell(text: string): string {
  return escapeTerminal(clipText(text, CELL));
}

/** At spaces; a longer word is cut into pieces. */
function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((long) => long.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [])) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function conclusion(open: number, untold: number, { backend, isolation, link }: TriedGuest): string {
  const flags = [
    ...(isolation === null ? [] : [`--isolation ${isolation}`]),
    ...(link === null ? [] : [`--link ${link}`]),
  ];
  const guest = `guest of ${backend}${flags.length === 0 ? '' : ` with ${flags.join(' ')}`}`;
  if (open > 0)
    return `A ${guest} is NOT confined on this machine. Report it in private, as SECURITY.md says.`;
  if (untold > 0)
    return `Whether a ${guest} is confined on this machine is not shown while a line has ????: run sand doctor --backend ${backend}.`;
  return `A ${guest} is confined on this machine, as far as these attacks go.`;
}
