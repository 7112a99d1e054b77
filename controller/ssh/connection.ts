/** Makes a guest that runs reachable by ssh, and is the connection to it: no port is opened, on the host or in the guest. */
import { Readable } from 'node:stream';
import type { RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { type ExecRequest, execInGuest } from '../run/exec.ts';
import type { SshHost } from './client-config.ts';
import { type SshKeys, sshKeys } from './keys.ts';
import { PREPARE_COMMAND, SERVE_COMMAND, SERVER_CODES } from './server.ts';

/** A user's name, and nothing that ssh could take for more. */
const USER = /^[a-z_][a-z0-9_-]{0,31}$/;
const ANSWER_BYTES = 4_096;

export interface ReachableGuest {
  readonly run: RunPlace;
  /** As its caller named it. */
  readonly guest: string;
  readonly signals: ExecRequest['signals'];
  /** Runs sand again, as the connection. */
  readonly proxy: readonly string[];
}

/** Puts the keys where both ends look for them. Raises `ssh-unavailable`, and what keys and commands raise. */
export async function prepareSsh({ run, guest, signals, proxy }: ReachableGuest): Promise<SshHost> {
  const keys = await sshKeys(run);
  const user = await installServer(run, keys, signals);
  const { keyAlias, identityPath, knownHostsPath } = keys;
  return { alias: `sand-${guest}`, keyAlias, user, identityPath, knownHostsPath, proxy };
}

async function installServer(
  run: RunPlace,
  { hostKey, userKey }: SshKeys,
  signals: ExecRequest['signals'],
): Promise<string> {
  let answer = '';
  const code = await execInGuest(run, {
    command: PREPARE_COMMAND,
    environment: {},
    workdir: '/',
    stdio: [Readable.from([Buffer.from(`${hostKey.trimEnd()}\n\n${userKey}`)]), 'pipe', 'pipe'],
    terminal: false,
    output: (stream, chunk) => {
      if (stream === 'stdout') answer = (answer + chunk.toString('latin1')).slice(0, ANSWER_BYTES);
      return undefined;
    },
    signals,
  });
  const user = answer.trim();
  // Fail closed: the guest's word goes into a file that ssh reads.
  if (code === 0 && USER.test(user)) return user;
  throw unavailable(code);
}

function unavailable(code: number): SandError {
  if (code === SERVER_CODES.noServer)
    return new SandError(
      'ssh-unavailable',
      'the guest has no sshd',
      'install openssh-server on the host (it need not run there), or in the guest\u2019s image; sand shell needs none',
    );
  if (code === SERVER_CODES.isRoot)
    return new SandError(
      'ssh-unavailable',
      'the guest\u2019s processes are uid 0 in its eyes and have no such rights, and sshd would try to become another user',
      'start the guest without --user 0, or use sand shell',
    );
  return new SandError(
    'ssh-unavailable',
    `sshd could not be set up in the guest (${code})`,
    'look whether the guest can write below /run/user, or use sand shell',
  );
}

/** On the caller's own streams, until the client goes. */
export function serveSsh(run: RunPlace, signals: ExecRequest['signals']): Promise<number> {
  return execInGuest(run, {
    command: SERVE_COMMAND,
    environment: {},
    workdir: null,
    stdio: ['inherit', 'inherit', 'inherit'],
    terminal: false,
    signals,
  });
}
