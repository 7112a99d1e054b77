/** Runs the steps of a build: commands in the image with the host's network, copies into it without entering it. */
import { spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Builder, BuildStep } from '../../building.ts';
import { capabilityMask } from '../../capabilities.ts';
import type { RunningProcess, Stdio } from '../runtime.ts';
import { follow, stdioFor } from './child.ts';
import { rootParts } from './parts.ts';
import { planBuildRun, planRoot } from './plan.ts';
import { entryProgram } from './program.ts';
import { findUser } from './users.ts';

const ATTACHED: Stdio = { isAttached: true, isInteractive: false };

export const namespaceBuilder: Builder = { run, copy };

async function run(step: BuildStep, words: readonly string[]): Promise<number> {
  const [executable = '', ...rest] = words;
  const roots = [step.upper, ...step.layers, step.root];
  const credentials = findUser(roots, { raw: { userString: step.user } }, []);
  const process = {
    executable,
    arguments: rest,
    environment: step.environment,
    workingDirectory: step.workingDirectory,
    terminal: false,
    user: { raw: { userString: step.user } },
    supplementalGroups: [],
    rlimits: [],
  };
  const parts = rootParts(step.workFolder, step.root, step.layers, step.upper);
  const resolver = readFileSync('/etc/resolv.conf', 'utf8');
  const { ended } = await start(planBuildRun(parts, process, credentials, capabilityMask([], []), resolver));
  return (await ended).status;
}

/** The root is put together where only `cp` sees it; without sources the folder is made. */
async function copy(step: BuildStep, sources: readonly string[], destination: string): Promise<void> {
  const root = `${step.workFolder}/root`;
  const target = `${root}${destination}`;
  const folders = sources.filter((source) => statSync(source).isDirectory()).map((source) => `${source}/.`);
  const files = sources.filter((source) => !statSync(source).isDirectory());
  const isFolder = destination.endsWith('/') || sources.length !== 1 || folders.length > 0;
  const script =
    'mkdir -p -- "$1" && shift && [ "$#" -lt 2 ] || exec cp -R --preserve=mode,links,timestamps -- "$@"';
  const list = sources.length === 0 ? [] : [...folders, ...files, target];
  const parts = rootParts(step.workFolder, step.root, step.layers, step.upper);
  const { ended } = await start([
    ...['tied', 'unshare-files', 'fork'],
    ...planRoot(parts, root),
    ...[
      'env',
      'PATH=/usr/bin:/bin',
      'exec',
      '/bin/sh',
      '-c',
      script,
      'sh',
      isFolder ? target : dirname(target),
      ...list,
    ],
  ]);
  const { status } = await ended;
  if (status !== 0) throw new Error(`cp ended with ${status}`);
}

async function start(steps: readonly string[]): Promise<RunningProcess> {
  const child = spawn(entryProgram(), steps, { cwd: '/', env: {}, stdio: stdioFor(ATTACHED, false) });
  return follow(child, ATTACHED);
}
