/**
 * A guest's only cable, held by cable.py: `softnet` at one end, and at the other a TAP device in the guest's network namespace, or the card of
 * a machine of its own. What the end of either means is decided by run.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../container/failure.ts';
import { forgetProcess, recordProcess } from '../../container/processes.ts';
import { readReport } from '../../container/runtime/child.ts';
import { endsOf } from '../../container/runtime/ends.ts';
import { entryProgram } from '../../container/runtime/namespaces/program.ts';
import type { TartHome } from '../home.ts';
import type { Softnet } from '../softnet.ts';
import type { Vm } from '../vms.ts';
import { findProgram } from './host-files.ts';
import { CARDS, SECOND_CARDS } from './scripts.ts';

const CABLE = fileURLToPath(new URL('cable.py', import.meta.url));
/** For a process that was told to end. */
const END_MS = 5000;

/** The number by which a machine inherits its end. */
export const CARD_FD = 40;

export interface Cable {
  /** Resolves with the status of `softnet`, below 0 for a signal. */
  readonly ended: Promise<number>;
  /** The guest's card is in its network namespace once this has resolved. */
  plug(pid: number): Promise<void>;
  /** Runs a machine whose card the cable ends in, in a folder; it ends with the cable at the latest. */
  runMachine(words: readonly string[], folder: string): Promise<HeldMachine>;
  /** Interrupts `softnet`, waits for its end, and ends it where it does not. */
  stop(): Promise<void>;
  /** As if it had crashed. */
  kill(): void;
}

export interface HeldMachine {
  readonly pid: number;
  readonly ended: Promise<void>;
}

/** Rejects where `softnet` cannot be started, or the control descriptor is none. */
export function startCable(
  home: TartHome,
  vm: Vm,
  softnet: Softnet,
  { cwd, hasSecondCard }: { readonly cwd: string; readonly hasSecondCard: boolean },
): Promise<Cable> {
  const plan = {
    softnet: softnet.program,
    arguments: softnet.arguments,
    hasControl: softnet.controlFd !== null,
    cwd,
    card: CARDS[vm.config.os],
    secondCard: hasSecondCard ? SECOND_CARDS[vm.config.os] : null,
    mac: vm.config.macAddress,
    machineEnd: CARD_FD,
  };
  const child = spawn(findProgram('python3'), [CABLE, JSON.stringify(plan)], {
    stdio: ['pipe', 'inherit', 'inherit', 'pipe', softnet.controlFd ?? 'ignore'],
  });
  if (child.pid !== undefined) recordProcess(home, child.pid);
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const { promise: up, resolve: goUp, reject: failUp } = Promise.withResolvers<void>();
  const { promise: running, resolve: run, reject: failRun } = Promise.withResolvers<number>();
  const { promise: halted, resolve: halt } = Promise.withResolvers<void>();
  for (const promise of [up, running]) promise.catch(() => {});
  const tell = (line: string) => child.stdin?.write(`${line}\n`);
  child.stdin?.on('error', () => {});
  return new Promise((resolve, reject) => {
    const pids = { softnet: 0, machine: 0 };
    const fail = (failure: Failure) => {
      for (const one of [reject, failUp, failRun]) one(failure);
    };
    const closed = readReport(endsOf(child), (word, rest) => {
      if (word === 'softnet' || word === 'machine') {
        pids[word] = Number(rest);
        recordProcess(home, pids[word]);
      }
      if (word === 'softnet') {
        const plug = (guest: number) => {
          tell(`guest ${guest}`);
          return up;
        };
        const runMachine = async (words: readonly string[], folder: string) => {
          tell(`machine ${JSON.stringify({ program: entryProgram(), words, folder })}`);
          return { pid: await running, ended: halted };
        };
        const stop = () => stopCable(child, ended, tell);
        resolve({ ended, plug, runMachine, stop, kill: () => tell('kill') });
      }
      if (word === 'machine') run(pids.machine);
      if (word === 'up') goUp();
      if (word === 'halted') {
        forgetProcess(home, pids.machine);
        halt();
      }
      if (word === 'ended') {
        forgetProcess(home, pids.softnet);
        end(Number(rest));
      }
      if (word === 'failed') fail(new Failure(describeFailure(rest)));
    });
    child.once('error', reject);
    closed.then(() => {
      if (child.pid !== undefined) forgetProcess(home, child.pid);
      fail(new Failure('python3 holds the cable of emulated guests, and ended at once'));
      halt();
      end(-1);
    });
  });
}

function describeFailure(text: string): string {
  const [kind, ...rest] = text.split(' ');
  if (kind === 'control') return `Softnet control file descriptor ${rest.join(' ')}`;
  return kind === 'start' ? `Softnet failed to start: ${rest.join(' ')}` : text;
}

async function stopCable(
  child: ChildProcess,
  ended: Promise<number>,
  tell: (line: string) => void,
): Promise<void> {
  tell('stop');
  const { promise: late, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), END_MS);
  if ((await Promise.race([ended, late])) === 'late') tell('kill');
  clearTimeout(timer);
  await ended;
  const { promise: gone, resolve: leave } = Promise.withResolvers<void>();
  child.once('close', () => leave());
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  else leave();
  await gone;
}
