/** `sand ip [GUEST]`: the address that a guest has on its own network, where it has one; no way to it is opened by that. */
import type { Environment } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { isAlive, readRunState } from '../run/run-state.ts';
import { chooseRun } from './run-choice.ts';

export interface IpOptions {
  readonly run: string | undefined;
  readonly env: Environment;
  readonly write: (text: string) => void;
}

/** Raises `run-missing`, `guest-ended`, and `guest-failed` for a guest that has no address. */
export async function showAddress(options: IpOptions): Promise<number> {
  const run = await chooseRun(options);
  const state = readRunState(run);
  if (state === null || !isAlive(state))
    throw new SandError(
      'guest-ended',
      `the guest of run ${run.id} does not run`,
      'see those that do: sand ls',
    );
  const { address } = state.guest;
  if (typeof address !== 'string') {
    throw new SandError(
      'guest-failed',
      `guests of the ${state.backend} backend have no address of their own to tell`,
      'publish a port to reach a server in one: sand run -p 8080:80',
    );
  }
  options.write(`${address}\n`);
  return 0;
}
