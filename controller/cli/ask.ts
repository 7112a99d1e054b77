/** `sand ask`: shows what waits in a run and takes the answers, from a terminal that no guest has. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { escapeTerminal } from '../../audit/escape.ts';
import type { Environment, RunPlace } from '../../audit/runs.ts';
import { ASK_LIMITS } from '../ask/limits.ts';
import { formatQuestion, parseAnswer, parseQuestions, type Question } from '../ask/question.ts';
import { askControl } from '../control/client.ts';
import { controlFailed } from '../control/failure.ts';
import { SandError } from '../errors.ts';
import { chooseRun } from './run-choice.ts';

export interface AskOptions {
  readonly run: string | undefined;
  readonly json: boolean;
  readonly env: Environment;
  readonly write: (text: string) => void;
  readonly input: Readable & { readonly isTTY?: boolean };
}

/** Ends with 0 when the run does, or the input. Raises `control-missing` where the run cannot be reached at all. */
export async function askRun(options: AskOptions): Promise<number> {
  const run = await chooseRun(options);
  const first = await fetchQuestions(run);
  if (options.json) {
    options.write(`${JSON.stringify(first)}\n`);
    return 0;
  }
  options.write(`sand: waiting for questions of run ${run.id}; Ctrl-C ends this\n`);
  const lines = createLines(options.input);
  try {
    await converse(run, first, lines, options.write);
  } catch (error) {
    if (!(error instanceof SandError) || error.code !== 'control-missing') throw error;
    options.write('sand: the run has ended\n');
  } finally {
    lines.close();
  }
  return 0;
}

async function converse(
  run: RunPlace,
  first: readonly Question[],
  lines: Lines,
  write: (text: string) => void,
): Promise<void> {
  let shown: Question | null = null;
  for (let questions = first; ; questions = await fetchQuestions(run)) {
    const asked: Question | null = shown;
    if (asked !== null && !questions.some(({ id }) => id === asked.id)) {
      write('\n      this does not wait any more\n');
      shown = null;
    }
    if (shown === null && questions[0] !== undefined) {
      shown = questions[0];
      lines.forget();
      write(formatQuestion(shown));
    }
    const line = shown === null ? null : lines.take();
    if (shown !== null && line !== null) shown = await answer(run, shown, line, write);
    else if (lines.hasEnded) return;
    else await delay(ASK_LIMITS.pollMs);
  }
}

/** Gives the question where it still wants an answer. */
async function answer(
  run: RunPlace,
  question: Question,
  line: string,
  write: (text: string) => void,
): Promise<Question | null> {
  const kind = parseAnswer(line);
  if (kind === null) {
    write('      o, r, w, d or n > ');
    return question;
  }
  try {
    await askControl(run, { do: 'answer', question: question.id, answer: kind });
    return null;
  } catch (error) {
    if (!(error instanceof SandError) || error.code === 'control-missing') throw error;
    write(`sand: ${escapeTerminal(`${error.message}; ${error.hint}`)}\n      o, r, w, d or n > `);
    return question;
  }
}

async function fetchQuestions(run: RunPlace): Promise<readonly Question[]> {
  const questions = parseQuestions(await askControl(run, { do: 'questions' }));
  if (questions === null) throw controlFailed(`run ${run.id} did not answer`, new Error('no questions'));
  return questions;
}

interface Lines {
  /** The next whole line; null where none has come. */
  take(): string | null;
  /** On a terminal, what was typed before a question was shown is no answer to it. */
  forget(): void;
  readonly hasEnded: boolean;
  close(): void;
}

/** Lines that wait to be read; far more than one for each question. */
const HELD_LINES = 100;

function createLines(input: AskOptions['input']): Lines {
  const held: string[] = [];
  let hasEnded = false;
  const reader = createInterface({ input, terminal: false });
  reader.on('line', (line) => {
    if (held.length < HELD_LINES) held.push(line);
  });
  reader.on('close', () => {
    hasEnded = true;
  });
  return {
    take: () => held.shift() ?? null,
    forget() {
      if (input.isTTY === true) held.length = 0;
    },
    get hasEnded() {
      return hasEnded && held.length === 0;
    },
    close() {
      reader.close();
      input.destroy();
    },
  };
}
