/** The machines that Tart has, as far as a guest's start and end ask for them: free names, room for one more, what it runs. */
import { SandError } from '../../errors.ts';
import { LIST, planGet } from './argv.ts';
import { type ListedMachine, type MachineFacts, parseMachine, parseMachines } from './parse.ts';
import { runTart, TOOL_LIMITS } from './tool.ts';

/** Of macOS at a time, by its framework and by its licence. */
export const MOST_MACS = 2;

/** Raises `tool-failed` for a list that does not read. */
export async function listMachines(): Promise<readonly ListedMachine[]> {
  const machines = parseMachines(await runTart(LIST, TOOL_LIMITS.queryMs));
  if (machines !== null) return machines;
  throw unreadable('list');
}

export async function lookAtMachine(name: string): Promise<MachineFacts> {
  const facts = parseMachine(await runTart(planGet(name), TOOL_LIMITS.queryMs));
  if (facts !== null) return facts;
  throw unreadable('get');
}

/** Fail closed: a clone would overwrite a machine of that name. */
export async function requireFreeName(name: string): Promise<void> {
  const machines = await listMachines();
  if (!machines.some((machine) => machine.name === name)) return;
  throw new SandError(
    'guest-exists',
    `Tart has a machine named ${name} already`,
    `look at it, and remove it: tart delete ${name}`,
  );
}

/** Before macOS itself refuses, which it does when everything else is done. Raises `backend-unavailable`. */
export async function requireRoom(name: string): Promise<void> {
  if ((await lookAtMachine(name)).system !== 'macos') return;
  const running = (await listMachines()).filter((machine) => machine.running && machine.name !== name);
  const macs: string[] = [];
  for (const machine of running) {
    const facts = await lookAtMachine(machine.name).catch(() => null);
    if (facts?.system === 'macos') macs.push(machine.name);
  }
  if (macs.length < MOST_MACS) return;
  throw new SandError(
    'backend-unavailable',
    `macOS lets ${MOST_MACS} guests of macOS run at a time, and ${macs.join(' and ')} run`,
    'stop one of them: `sand ls` shows those of sand, `tart stop NAME` stops another',
  );
}

/** Raises `guest-failed` where the tool does not say that it runs. */
export async function requireSystem(name: string): Promise<MachineFacts> {
  const facts = await lookAtMachine(name);
  if (facts.running) return facts;
  throw new SandError(
    'guest-failed',
    'Tart does not say that the guest runs',
    'run `sand doctor --backend tart`',
  );
}

function unreadable(verb: string): SandError {
  return new SandError(
    'tool-failed',
    `what \`tart ${verb}\` printed does not read`,
    'run `sand doctor --backend tart`',
  );
}
