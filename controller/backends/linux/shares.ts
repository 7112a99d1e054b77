/**
 * What a guest gets of its caller beyond the allowlist, each by name: shares (`--share`) and package caches
 * (`--cache`), as mounts and variables.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../../errors.ts';
import { realPath } from '../../guest/file-state.ts';
import type { Share } from '../backend.ts';
import type { GuestIdentity, Mount } from './mounts.ts';

export interface SharePlan {
  readonly mounts: readonly Mount[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Package caches by the folder in the guest's home where the tools look, and their place below the cache. */
const CACHES: readonly { readonly inHome: string; readonly folder: string }[] = [
  { inHome: '.cache', folder: 'cache' },
  { inHome: '.npm', folder: 'npm' },
  { inHome: '.cargo/registry', folder: 'cargo-registry' },
  { inHome: '.cargo/git', folder: 'cargo-git' },
  { inHome: 'go/pkg', folder: 'go-pkg' },
  { inHome: '.m2/repository', folder: 'm2' },
  { inHome: '.gradle/caches', folder: 'gradle' },
  { inHome: '.bundle/cache', folder: 'bundle' },
];

const AGENT_SOCKET = '/run/sand/ssh-agent.sock';

/** Raises `share-unavailable` for a share that is named and not there: a guest is not started with less. */
export function planShares(
  shares: readonly Share[],
  cache: string | null,
  identity: GuestIdentity,
  caller: Readonly<Record<string, string | undefined>>,
): SharePlan {
  const plans = [...shares.map((share) => planShare(share, identity, caller)), planCaches(cache, identity)];
  return {
    mounts: plans.flatMap(({ mounts }) => mounts),
    environment: Object.assign({}, ...plans.map(({ environment }) => environment)),
  };
}

function planShare(
  share: Share,
  identity: GuestIdentity,
  caller: Readonly<Record<string, string | undefined>>,
): SharePlan {
  switch (share) {
    case 'ssh-agent': {
      const socket = caller.SSH_AUTH_SOCK ?? '';
      const real = realPath(socket);
      if (real === null || !statSync(real).isSocket()) {
        throw unavailable(
          share,
          'SSH_AUTH_SOCK names no socket',
          'start an agent (`eval $(ssh-agent)`) and `ssh-add` a key',
        );
      }
      return {
        mounts: [{ kind: 'bind', source: real, target: AGENT_SOCKET, writable: false }],
        environment: { SSH_AUTH_SOCK: AGENT_SOCKET },
      };
    }
    case 'gitconfig':
      return readOnlyFiles(share, identity, ['.gitconfig', '.config/git']);
    case 'known-hosts':
      return readOnlyFiles(share, identity, ['.ssh/known_hosts']);
    case 'npmrc':
      return readOnlyFiles(share, identity, ['.npmrc']);
  }
}

function readOnlyFiles(share: Share, identity: GuestIdentity, names: readonly string[]): SharePlan {
  const present = names.map((name) => join(identity.home, name)).filter((path) => existsSync(path));
  if (present.length === 0) {
    throw unavailable(share, `there is no ~/${names.join(' and no ~/')}`, `leave out --share ${share}`);
  }
  const mounts = present.map(
    (path): Mount => ({ kind: 'bind', source: realPath(path) ?? path, target: path, writable: false }),
  );
  return { mounts, environment: {} };
}

function planCaches(cache: string | null, identity: GuestIdentity): SharePlan {
  if (cache === null) return { mounts: [], environment: {} };
  const mounts = CACHES.map(({ inHome, folder }): Mount => {
    const source = join(cache, folder);
    mkdirSync(source, { recursive: true, mode: 0o700 });
    return { kind: 'bind', source, target: join(identity.home, inHome), writable: true };
  });
  return { mounts, environment: {} };
}

function unavailable(share: Share, why: string, hint: string): SandError {
  return new SandError('share-unavailable', `--share ${share}: ${why}`, hint);
}
