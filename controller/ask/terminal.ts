/**
 * Asks on the terminal of the run itself, where its guest has no hold of that terminal: its standard input is another,
 * and its output comes through here, so that none of it is shown while a question is. Full-screen guests are asked about from
 * elsewhere (`sand ask`).
 */
import { closeSync, constants, openSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import { escapeTerminal } from '../../audit/escape.ts';
import { SandError } from '../errors.ts';
import { processSight } from '../process/identity.ts';
import type { AskBroker } from './broker.ts';
import { ASK_LIMITS } from './limits.ts';
import { formatQuestion, parseAnswer, type Question } from './question.ts';

/** What is typed for one answer: a letter, or a word. */
const TYPED_CHARACTERS = 16;

export interface QuestionTerminal {
  /** Shows what waits, one at a time. Gives what ends it, with the terminal as it was before. */
  attach(broker: AskBroker): () => void;
  /** Resolves when no question is shown; undefined when none is. */
  free(): Promise<void> | undefined;
}

/** The terminal that this process belongs to; null where it has none. */
export function openQuestionTerminal(): QuestionTerminal | null {
  let input: number;
  try {
    input = openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return null;
  }
  try {
    const output = openSync('/dev/tty', constants.O_WRONLY | constants.O_NOCTTY);
    return new ProcessTerminal(new ReadStream(input), new WriteStream(output));
  } catch {
    closeSync(input);
    return null;
  }
}

interface Shown {
  readonly id: number;
  readonly sinceMs: number;
  typed: string;
  isSent: boolean;
}

/** `Keys` and `Screen` as far as they are used, so that a test can be both. */
export interface Keys {
  setRawMode(raw: boolean): unknown;
  resume(): unknown;
  pause(): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'error', listener: () => void): unknown;
  unref?(): unknown;
  destroy(): unknown;
}

export interface Screen {
  write(text: string): unknown;
  on(event: 'error', listener: () => void): unknown;
  destroy(): unknown;
}

export class ProcessTerminal implements QuestionTerminal {
  readonly #keys: Keys;
  readonly #screen: Screen;
  readonly #isForeground: () => boolean;
  #broker: AskBroker | null = null;
  #shown: Shown | null = null;
  #busy: { readonly done: Promise<void>; readonly end: () => void } | null = null;

  constructor(keys: Keys, screen: Screen, isForeground: () => boolean = processSight().isForeground) {
    this.#keys = keys;
    this.#screen = screen;
    this.#isForeground = isForeground;
    keys.on('data', (chunk) => this.#take(chunk.toString('latin1')));
    keys.on('error', () => {});
    screen.on('error', () => {});
    // Keys that nobody was asked for stay with the terminal.
    keys.pause();
  }

  attach(broker: AskBroker): () => void {
    this.#broker = broker;
    const unlisten = broker.onChange(() => this.#look());
    this.#look();
    return () => {
      unlisten();
      this.#broker = null;
      this.#rest();
      this.#keys.destroy();
      this.#screen.destroy();
    };
  }

  free(): Promise<void> | undefined {
    return this.#busy?.done;
  }

  /** Shows the oldest question, unless it is shown already; gives the terminal back where there is none. */
  #look(): void {
    const questions = this.#broker?.questions() ?? [];
    const shown = this.#shown;
    if (shown !== null) {
      if (shown.isSent || questions.some(({ id }) => id === shown.id)) return;
      this.#screen.write('\n      this does not wait any more\n');
      this.#shown = null;
    }
    const [next] = questions;
    if (next === undefined) this.#rest();
    // A process in the background that reads its terminal is stopped; it is asked through `sand ask` then.
    else if (this.#isForeground()) this.#show(next);
  }

  #show(question: Question): void {
    if (this.#busy === null) {
      let end = (): void => {};
      const done = new Promise<void>((resolve) => {
        end = resolve;
      });
      this.#busy = { done, end };
      this.#keys.setRawMode(true);
      this.#keys.resume();
    }
    this.#shown = { id: question.id, sinceMs: performance.now(), typed: '', isSent: false };
    this.#screen.write(`\n${formatQuestion(question)}`);
  }

  #rest(): void {
    this.#shown = null;
    if (this.#busy === null) return;
    this.#keys.setRawMode(false);
    this.#keys.pause();
    this.#busy.end();
    this.#busy = null;
  }

  #take(text: string): void {
    // In raw mode the terminal sends no signals by itself.
    if (text.includes('\x03')) {
      process.kill(process.pid, 'SIGINT');
      return;
    }
    const shown = this.#shown;
    if (shown === null || shown.isSent) return;
    // What was typed ahead was typed for something else, and what a guest printed cannot have asked for it.
    if (performance.now() - shown.sinceMs < ASK_LIMITS.settleMs) return;
    for (const character of text) this.#press(shown, character);
  }

  #press(shown: Shown, character: string): void {
    if (shown.isSent) return;
    if (character === '\r' || character === '\n') {
      this.#submit(shown);
    } else if (character === '\x7f' || character === '\b') {
      if (shown.typed === '') return;
      shown.typed = shown.typed.slice(0, -1);
      this.#screen.write('\b \b');
    } else if (/^[a-z]$/i.test(character) && shown.typed.length < TYPED_CHARACTERS) {
      shown.typed += character;
      this.#screen.write(character);
    }
  }

  #submit(shown: Shown): void {
    const answer = parseAnswer(shown.typed);
    shown.typed = '';
    this.#screen.write('\n');
    if (answer === null) {
      this.#again();
      return;
    }
    shown.isSent = true;
    const answered = this.#broker?.answer(shown.id, answer, 'terminal') ?? Promise.resolve();
    answered.then(
      () => this.#after(shown),
      (error: unknown) => {
        this.#screen.write(`sand: ${escapeTerminal(describe(error))}\n`);
        shown.isSent = false;
        this.#look();
        if (this.#shown === shown) this.#again();
      },
    );
  }

  #after(shown: Shown): void {
    if (this.#shown === shown) this.#shown = null;
    if (this.#broker !== null) this.#look();
  }

  #again(): void {
    this.#screen.write('      o, r, w, d or n > ');
  }
}

function describe(error: unknown): string {
  if (error instanceof SandError) return `${error.message}; ${error.hint}`;
  return error instanceof Error ? error.message : String(error);
}
