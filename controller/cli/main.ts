/**
 * The entry of the `sand` command: reads the arguments, runs the command, and turns what comes of it into an
 * exit code. The only place that ends the process.
 */
import { ERROR_CODES, SandError } from '../errors.ts';
import { splitArguments } from './arguments.ts';
import { closeInherited } from './descriptors.ts';
import { describeError, formatError } from './errors.ts';
import { createProgram } from './program.ts';

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
    return 2;
  }
  const failure =
    error instanceof SandError
      ? error
      : new SandError(
          'internal',
          error instanceof Error ? error.message : String(error),
          'report this as a fault of sand',
          { cause: error },
        );
  if (json) process.stdout.write(`${JSON.stringify({ error: describeError(failure) })}\n`);
  process.stderr.write(formatError(failure));
  return ERROR_CODES[failure.code].exit;
}

function isCommanderError(error: unknown): error is Error & { readonly exitCode: number } {
  return error instanceof Error && String(Reflect.get(error, 'code')).startsWith('commander.');
}

process.exitCode = await main(process.argv.slice(2));
