/**
 * A guest in namespaces of this machine's kernel, with the process that is its kernel to it. All of it dies with the process that
 * started it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Failure } from '../../container/failure.ts';
import { forgetProcess, recordProcess } from '../../container/processes.ts';
import { failureOf, readReport, stdioFor } from '../../container/runtime/child.ts';
import { endsOf } from '../../container/runtime/ends.ts';
import { rootParts } from '../../container/runtime/namespaces/parts.ts';
import { entryProgram } from '../../container/runtime/namespaces/program.ts';
import type { TartHome } from '../home.ts';
import { localAddress } from './address.ts';
import type { AgentRequest } from './frames.ts';
import { findProgram, imageFiles, readIf, sudoProgram } from './host-files.ts';
import type { Boot, Machine } from './machine.ts';
import { guestCapabilities, planBoot, planExec } from './plan.ts';

export const bootNamespaces: Boot = async (home, vm, shares, cable) => {
  const { os } = vm.config;
  const workFolder = join(vm.folder, 'guest');
  mkdirSync(workFolder, { recursive: true });
  const { root, passwd, group, hasZsh, lacking } = imageFiles(vm);
  const parts = rootParts(workFolder, root, [], null);
  const capabilities = guestCapabilities(heldCapabilities());
  const users = { hostUid: process.getuid?.() ?? 0, hostGid: process.getgid?.() ?? 0 };
  const steps = planBoot({
    ...parts,
    hidden: [...new Set([...parts.hidden, ...lacking])],
    emptied: parts.emptied.filter((name) => !lacking.includes(name)),
    os,
    hostname: vm.name.split('.')[0] ?? vm.name,
    shares: shares.map((share) => ({ ...share, source: share.path, users })),
    kernel: 'shared',
    capabilities,
    busybox: findProgram('busybox'),
    sudo: sudoProgram(),
    passwd,
    group,
    hasZsh,
    boots: vm.disk.root !== null,
  });
  const child = spawn(entryProgram(), steps, {
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'ignore'],
  });
  const guest = await follow(home, child, (init, request) =>
    planExec(init, os, 'shared', capabilities, request),
  );
  try {
    await Promise.race([cable.plug(guest.init), cable.ended]);
  } catch (error) {
    await guest.powerOff();
    throw error;
  }
  return guest;
};

type ExecPlan = (init: number, request: AgentRequest & { kind: 'exec' }) => readonly string[];

function follow(home: TartHome, child: ChildProcess, planOf: ExecPlan): Promise<Machine & { init: number }> {
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  for (const output of [child.stdout, child.stderr]) discard(output);
  return new Promise((resolve, reject) => {
    let status = -1;
    let init = 0;
    const closed = readReport(endsOf(child), (word, rest) => {
      const failure = failureOf(word, rest);
      if (failure !== null) reject(failure);
      if (word === 'exited') {
        status = Number(rest);
        forgetProcess(home, init);
        end(status);
      }
      if (word !== 'started') return;
      init = Number(rest);
      recordProcess(home, init);
      const signal = (name: NodeJS.Signals) => {
        try {
          process.kill(init, name);
        } catch {
          // It has ended already.
        }
      };
      resolve({
        init,
        ended,
        isUp: () => true,
        shutDown: () => signal('SIGTERM'),
        async powerOff() {
          signal('SIGKILL');
          await ended;
        },
        address: async () => localAddress(readIf(`/proc/${init}/net/fib_trie`)),
        run: (request) => spawnCommand(planOf(init, request), request),
        kill: (pid) => process.kill(pid, 'SIGKILL'),
      });
    });
    child.once('error', reject);
    closed.then(() => {
      reject(new Failure('the guest ended before it was started'));
      end(status);
    });
  });
}

function spawnCommand(
  steps: readonly string[],
  { isInteractive, isTerminal }: AgentRequest & { kind: 'exec' },
): ReturnType<typeof endsOf> {
  const child = spawn(entryProgram(), steps, {
    cwd: '/',
    env: {},
    detached: true,
    stdio: stdioFor({ isInteractive, isAttached: true }, isTerminal),
  });
  return endsOf(child);
}

function heldCapabilities(): bigint {
  const held = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readIf('/proc/self/status'))?.[1];
  return BigInt(`0x${held ?? '0'}`);
}

function discard(output: Readable | null): void {
  output?.resume();
}
