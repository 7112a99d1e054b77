/**
 * The two keys of a run, made when somebody first reaches its guest by ssh: one that the guest's server has, one that may
 * log in there. They stay in the run's own folder, and go with the run.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { createJournal } from '../guests/journal.ts';
import { runTool } from '../process/runner.ts';

/** An ed25519 key takes milliseconds. */
const KEYGEN_TIMEOUT_MS = 30_000;

export interface SshKeys {
  readonly identityPath: string;
  readonly knownHostsPath: string;
  /** The only name that the guest's key is known by. */
  readonly keyAlias: string;
  /** Private, for the guest. */
  readonly hostKey: string;
  /** Public, for the guest. */
  readonly userKey: string;
}

/** Raises `tool-missing`, `tool-failed`. Two at once make one pair. */
export async function sshKeys(run: RunPlace): Promise<SshKeys> {
  const folder = join(run.directory, 'ssh');
  const keyAlias = `sand-${run.id}`;
  if (!existsSync(folder)) await makeKeys(run, folder, keyAlias);
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');
  return {
    identityPath: join(folder, 'user'),
    knownHostsPath: join(folder, 'known_hosts'),
    keyAlias,
    hostKey: text('host'),
    userKey: text('user.pub'),
  };
}

/** Whole or not at all: the folder gets its name when all is in it. */
async function makeKeys(run: RunPlace, folder: string, keyAlias: string): Promise<void> {
  const draft = `${folder}.${process.pid}`;
  const journal = createJournal(run);
  try {
    for (const path of [draft, folder]) journal.note({ kind: 'folder', path });
  } finally {
    journal.close();
  }
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  try {
    for (const name of ['host', 'user']) await makeKey(join(draft, name));
    const [kind, key] = readFileSync(join(draft, 'host.pub'), 'utf8').split(' ');
    writeFileSync(join(draft, 'known_hosts'), `${keyAlias} ${kind} ${key}\n`, { mode: 0o600 });
    renameSync(draft, folder);
  } catch (error) {
    // Somebody else was faster.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

async function makeKey(path: string): Promise<void> {
  const args = ['-q', '-t', 'ed25519', '-N', '', '-C', 'sand', '-f', path];
  const { exitCode, stderr } = await runTool('ssh-keygen', args, { timeoutMs: KEYGEN_TIMEOUT_MS });
  if (exitCode !== 0)
    throw new SandError(
      'tool-failed',
      `ssh-keygen ended with ${exitCode} (${stderr.trim()})`,
      'look at what it says, and at the space on the disk',
    );
  chmodSync(path, 0o600);
}
