/**
 * One question about a request that is held, and the answers there are: as data, as the control socket carries them,
 * and as text for a terminal. Pure; who asks and who waits is `broker.ts`.
 */
import { clipText, escapeTerminal } from '../../audit/escape.ts';
import type { Protocol } from '../../policies/model.ts';
import { ASK_LIMITS } from './limits.ts';

export const ANSWERS = ['once', 'run', 'write', 'deny', 'never'] as const;

/** `never`: not in this run. */
export type AnswerKind = (typeof ANSWERS)[number];

/** What a person is shown. The texts come from a guest: they are escaped where they are printed. */
export interface Question {
  /** From 1, in the order of asking. */
  readonly id: number;
  readonly host: string;
  /** Null for a name that is looked up: what then connects is not known yet. */
  readonly port: number | null;
  readonly protocol: Protocol | null;
  /** Requests that wait for the answer. */
  readonly waiting: number;
  /** What runs in the guest, redacted: sand does not see which of its processes asks. */
  readonly command: string;
  /** The last answer about this host, with its age; null where there was none. */
  readonly last: { readonly answer: AnswerKind; readonly by: string; readonly secondsAgo: number } | null;
  /** After this the answer is no. */
  readonly secondsLeft: number;
  /** The policy file that `write` would change; null where there is none, or it is not offered. */
  readonly file: string | null;
}

const KEYS: ReadonlyMap<string, AnswerKind> = new Map([
  ['o', 'once'],
  ['r', 'run'],
  ['w', 'write'],
  ['d', 'deny'],
  ['n', 'never'],
]);

/** A letter or a whole word; null for anything else. */
export function parseAnswer(text: string): AnswerKind | null {
  const word = text.trim().toLowerCase();
  return KEYS.get(word) ?? ANSWERS.find((answer) => answer === word) ?? null;
}

export function isAnswer(value: unknown): value is AnswerKind {
  return ANSWERS.some((answer) => answer === value);
}

/** Lines for a terminal, the last without its newline: there the answer is typed. */
export function formatQuestion(question: Question): string {
  const { command, last, file, secondsLeft, waiting } = question;
  const others = waiting > 1 ? ` (${waiting} requests wait)` : '';
  const before = last === null ? '' : `      before: ${describeLast(last)}\n`;
  const write = file === null ? '' : `, [w]rite a line to ${shown(file)}`;
  return (
    `sand: ${shown(command)}\n      wants ${describeWanted(question)}${others}, and no rule says yes or no\n${before}` +
    `      [o]nce, in this [r]un${write}, [d]eny, [n]ever in this run; silence denies in ${secondsLeft} s > `
  );
}

export function describeWanted({
  host,
  port,
  protocol,
}: Pick<Question, 'host' | 'port' | 'protocol'>): string {
  const name = shown(host);
  if (port === null) return `${name} (looked up; a yes is for https on 443 and http on 80)`;
  return `${name.includes(':') ? `[${name}]` : name}:${port} (${protocol})`;
}

function describeLast({ answer, by, secondsAgo }: NonNullable<Question['last']>): string {
  return `${answer}, by ${by}, ${secondsAgo} s ago`;
}

function shown(text: string): string {
  return escapeTerminal(clipText(text, ASK_LIMITS.textCharacters));
}

/** Null for anything else than questions as the control socket carries them. */
export function parseQuestions(value: unknown): readonly Question[] | null {
  return Array.isArray(value) && value.every(isQuestion) ? value : null;
}

function isQuestion(value: unknown): value is Question {
  if (typeof value !== 'object' || value === null) return false;
  const has = (key: keyof Question, ...types: readonly string[]) => {
    const field: unknown = Reflect.get(value, key);
    return types.includes(field === null ? 'null' : typeof field);
  };
  return (
    has('id', 'number') &&
    has('host', 'string') &&
    has('port', 'number', 'null') &&
    has('protocol', 'string', 'null') &&
    has('waiting', 'number') &&
    has('command', 'string') &&
    has('last', 'object', 'null') &&
    has('secondsLeft', 'number') &&
    has('file', 'string', 'null')
  );
}
