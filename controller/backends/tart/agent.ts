/** Waits until a guest's agent answers, and tells how long it may still take. What is done with the guest then is for whoever waits. */
import { SandError } from '../../errors.ts';
import { planExec } from './argv.ts';
import { attemptTart, TOOL_LIMITS } from './tool.ts';

/** Milliseconds. */
const BOOT_LIMITS: Readonly<Record<'bootMs' | 'lookMs' | 'lookPauseMs' | 'tellMs', number>> = TOOL_LIMITS;

/** The agent answers: on macOS that means that the login is over as well. */
export async function agentOf(
  machine: string,
  signal: AbortSignal,
  told: (message: string) => void,
  { bootMs, lookMs, lookPauseMs, tellMs }: typeof BOOT_LIMITS = BOOT_LIMITS,
): Promise<void> {
  const args = planExec({ name: machine, interactive: false, terminal: false, command: ['/usr/bin/true'] });
  const from = performance.now();
  const passed = () => performance.now() - from;
  const seconds = (ms: number) => Math.round(ms / 1000);
  for (let tellAt = 0; passed() < bootMs; ) {
    signal.throwIfAborted();
    if (passed() >= tellAt) {
      told(`the guest boots: its agent has ${seconds(bootMs - passed())} more seconds to answer`);
      tellAt = passed() + tellMs;
    }
    const look = await attemptTart(args, lookMs, { signal });
    if (look.exitCode === 0) return;
    await new Promise((resolve) => setTimeout(resolve, lookPauseMs));
  }
  throw new SandError(
    'guest-failed',
    `the guest came up, and its agent did not answer within ${seconds(bootMs)} seconds`,
    'use an image with Tart\u2019s guest agent that logs in by itself: a vanilla image has none, a base image has',
  );
}
