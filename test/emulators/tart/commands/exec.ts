/** Runs a command in a guest through its agent: no network, no shell, no environment of the caller's. */
import { forgetProcess, recordProcess } from '../../container/processes.ts';
import { argumentAt, type Call, complain, hasFlag, notRunning } from '../call.ts';
import { execInGuest } from '../guest/client.ts';
import { Trap } from '../shares.ts';
import { requireVm, runnerOf } from '../vms.ts';

export async function exec(call: Call): Promise<number> {
  const vm = requireVm(call.home, argumentAt(call, 0));
  if (runnerOf(vm) === null) throw notRunning(vm.name);
  const isTerminal = hasFlag(call, '-t');
  const isInteractive = hasFlag(call, '-i');
  // The size of what is no terminal is asked for with `try!`.
  if (isTerminal && process.stdout.isTTY !== true)
    throw new Trap("'try!' expression unexpectedly raised an error");
  recordProcess(call.home, process.pid);
  const command = call.parsed.arguments.slice(1);
  const isRaw = isTerminal && process.stdin.isTTY === true;
  if (isRaw) process.stdin.setRawMode(true);
  try {
    const request = { kind: 'exec', command, isInteractive, isTerminal } as const;
    const outcome = await execInGuest(vm.folder, request, call.settings.execPatienceMs);
    if (outcome.kind === 'status') return outcome.status & 0xff;
    // A stream that ends properly, without a word of the command's end, is no error to the tool.
    if (outcome.kind === 'cut') return 0;
    complain(`Error: ${outcome.message}`);
    return 1;
  } finally {
    forgetProcess(call.home, process.pid);
    if (isRaw) process.stdin.setRawMode(false);
  }
}
