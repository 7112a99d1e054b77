/**
 * The entry of the `sand` command: reads the arguments, runs the command, and turns what comes of it into an
 * exit code. The only place that ends the process.
 */
import { ERROR_CODES, SandError } from '../errors.ts';
import { splitArguments } from './arguments.ts';
import { closeInherited } from './descriptors.ts';
import { describeError, formatError } from './errors.ts';
import { createProgram } from './program.ts';

/** Far longer than the last of the output takes to be written. */
const LINGER_MS = 3_000;

/** Output of commands that end before stdout has drained would be cut by an exit at once. */
async function main(argv: readonly string[]): Promise<number> {
  closeInherited();
  const { own, command } = splitArguments(argv);
  let exitCode = 0;
  const program = createProgram({
    command,
    write: (text) => void process.stdout.write(text),
    finish: (code) => {
      exitCode = code;
    },
  });
  try {
    await program.parseAsync(own, { from: 'user' });
    return exitCode;
  } catch (error) {
    return explain(error, own.includes('--json'));
  }
}

function explain(error: unknown, json: boolean): number {
  if (isCommanderError(error)) {
    if (error.exitCode === 0) return 0;
    // Help for a command that is not whole has been printed already.
    if (error.code === 'commander.help') return 2;
  }
  const failure = failureOf(error);
  if (json) process.stdout.write(`${JSON.stringify({ error: describeError(failure) })}\n`);
  process.stderr.write(formatError(failure));
  return ERROR_CODES[failure.code].exit;
}

function failureOf(error: unknown): SandError {
  if (error instanceof SandError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (!isCommanderError(error)) {
    return new SandError('internal', message, 'report this as a fault of sand', { cause: error });
  }
  const [what = '', guess = ''] = message.replace(/^error: /, '').split('\n');
  const meant = /^\(Did you mean (.+)\?\)$/.exec(guess)?.[1];
  const hint = meant === undefined ? 'see `sand --help` and `sand run --help`' : `write ${meant}`;
  return new SandError('usage', what, hint, { cause: error });
}

function isCommanderError(
  error: unknown,
): error is Error & { readonly exitCode: number; readonly code: string } {
  return error instanceof Error && String(Reflect.get(error, 'code')).startsWith('commander.');
}

/** 128 and SIGPIPE: what a shell reports of a program whose reader has gone. */
const READER_GONE = 141;

// `sand audit | head` closes its end: there is nobody to write for, unless somebody else listens, who has a guest to end
// first. What cannot be said on stderr goes unsaid.
process.stdout.on('error', () => {
  if (process.stdout.listenerCount('error') === 1) process.exit(READER_GONE);
});
process.stderr.on('error', () => {});

process.exitCode = await main(process.argv.slice(2));
// Runs only where something is still open: by then it is a fault, and no reason to keep the caller waiting.
setTimeout(() => process.exit(), LINGER_MS).unref();
