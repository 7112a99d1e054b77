/** How `sand run --ask` reaches people: on its own terminal where the guest has none of it, else by `sand ask`. */
import { openQuestionTerminal } from '../ask/terminal.ts';
import type { GuestCommand } from '../backends/backend.ts';
import type { AskFront } from '../run/asking.ts';

export interface AskPlan {
  readonly front: AskFront | null;
  /** What the guest's streams are. */
  readonly stdio: GuestCommand['stdio'];
  /** Whether one of them is a terminal. */
  readonly terminal: boolean;
  /** Resolves when the guest's output may be shown; undefined: now. */
  readonly free: () => Promise<void> | undefined;
}

export interface Streams {
  readonly stdin: { readonly isTTY?: boolean };
  readonly stdout: { readonly isTTY?: boolean };
  readonly stderr: { readonly isTTY?: boolean };
}

/** Without `ask` the streams are as they were. `ci`: nobody is there. */
export function planAsking(
  { ask, ci, json }: { readonly ask: boolean; readonly ci: boolean; readonly json: boolean },
  { stdin, stdout, stderr }: Streams,
  tell: (text: string) => void,
): AskPlan {
  const isTerminal = [stdin, stdout, stderr].some((stream) => stream.isTTY === true);
  // With --json, stdout holds the one object; what the command prints there goes where people look.
  const stdio: GuestCommand['stdio'] = ['inherit', json ? 'pipe' : 'inherit', 'inherit'];
  const plain: AskPlan = { front: null, stdio, terminal: isTerminal, free: () => undefined };
  if (!ask) return plain;
  if (ci) {
    tell('sand: --ask asks nobody in CI: what no rule allows is denied\n');
    return plain;
  }
  const own = stdin.isTTY === true ? null : openQuestionTerminal();
  if (own === null) {
    const front: AskFront = (_, run) => {
      tell(`sand: questions of this run are answered in another terminal, with: sand ask ${run.id}\n`);
      return () => {};
    };
    return { ...plain, front };
  }
  // Fail closed: who holds a descriptor of the terminal can read the answers from it, so the guest gets none.
  const through = (stream: { readonly isTTY?: boolean }) => (stream.isTTY === true ? 'pipe' : 'inherit');
  return {
    front: (broker) => own.attach(broker),
    stdio: ['inherit', json ? 'pipe' : through(stdout), through(stderr)],
    terminal: false,
    free: () => own.free(),
  };
}
