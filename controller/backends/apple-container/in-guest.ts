/** Asks the relay in a guest for something, by a command of its own over the tool. What a word means is `relay-program.ts`'s. */
import { RELAY_PLACES } from '../../links/relay/relay-program.ts';
import type { ToolOutput } from '../../process/runner.ts';
import { planExec } from './argv.ts';
import { askContainer, failure, TOOL_LIMITS } from './tool.ts';

export interface RelayCall {
  readonly container: string;
  /** Arguments of the relay. */
  readonly words: readonly string[];
  readonly input?: string | Buffer;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** A non-zero exit is a value. Raises `tool-missing` and `backend-unavailable`. */
export function askRelay(call: RelayCall): Promise<ToolOutput> {
  const { container: name, words, input, signal } = call;
  const args = planExec({
    name,
    interactive: input !== undefined,
    terminal: false,
    variables: [],
    command: [RELAY_PLACES.program, ...words],
  });
  return askContainer(args, call.timeoutMs ?? TOOL_LIMITS.commandMs, {
    ...(input === undefined ? {} : { input }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Its standard output, where it succeeded. Raises `tool-failed` with what it said. */
export async function callRelay(call: RelayCall): Promise<string> {
  const output = await askRelay(call);
  call.signal?.throwIfAborted();
  if (output.exitCode === 0) return output.stdout;
  throw failure(['exec', ...call.words], output);
}
