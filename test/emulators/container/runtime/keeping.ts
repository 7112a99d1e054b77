/** Starts a container's keeper, which outlives the call. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Container } from '../containers.ts';
import type { Home } from '../home.ts';
import type { Settings } from '../settings.ts';
import { follow, stdioFor } from './child.ts';
import { endsOf } from './ends.ts';
import type { RunningProcess, Stdio } from './runtime.ts';

const HELPER = fileURLToPath(new URL('keeper.ts', import.meta.url));

export function startKeeper(
  _home: Home,
  _settings: Settings,
  container: Container,
  stdio: Stdio,
): Promise<RunningProcess> {
  const request = { directory: directoryOf(container), id: container.id, ...stdio };
  const isTerminal = container.configuration.initProcess.terminal;
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', HELPER, JSON.stringify(request)],
    { detached: true, cwd: '/', env: keptSources(), stdio: stdioFor(stdio, isTerminal) },
  );
  return follow(endsOf(child), stdio);
}

/** Nothing of the caller's environment but where Node keeps stripped sources. */
function keptSources(): NodeJS.ProcessEnv {
  const { NODE_COMPILE_CACHE } = process.env;
  return NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };
}

/** The HOME that a container's folder lies in. */
function directoryOf({ folder }: Container): string {
  return folder.split('/').slice(0, -5).join('/');
}
