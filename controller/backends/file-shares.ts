/**
 * What a guest gets of its caller beyond the allowlist, each by name. Where its home is only the guest's own passwd
 * knows, so files lie at places of sand's own, and variables say where.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { SandError } from '../errors.ts';
import { realPath } from '../guest/file-state.ts';
import type { MountSpec, Share } from './backend.ts';

export interface SharePlan {
  readonly folders: readonly MountSpec[];
  readonly files: readonly MountSpec[];
  readonly sockets: readonly MountSpec[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Where in the guest. */
export interface SharePlaces {
  readonly shared: string;
  readonly cache: string;
}

const NONE: SharePlan = { folders: [], files: [], sockets: [], environment: {} };

/** Tools by the variable that names their cache, and its place below the one that is kept. */
const CACHES: Readonly<Record<string, string>> = {
  XDG_CACHE_HOME: 'cache',
  npm_config_cache: 'npm',
  YARN_CACHE_FOLDER: 'yarn',
  PIP_CACHE_DIR: 'cache/pip',
  CARGO_HOME: 'cargo',
  GOMODCACHE: 'go-pkg/mod',
  GRADLE_USER_HOME: 'gradle',
  BUNDLE_USER_CACHE: 'bundle',
};

type Caller = Readonly<Record<string, string | undefined>>;

/** Raises `share-unavailable` for a share that is named and not there: a guest is not started with less. */
export function planShares(
  shares: readonly Share[],
  cache: string | null,
  caller: Caller,
  places: SharePlaces,
): SharePlan {
  const plans = [...shares.map((share) => planShare(share, caller, places)), planCaches(cache, places)];
  return {
    folders: plans.flatMap(({ folders }) => folders),
    files: plans.flatMap(({ files }) => files),
    sockets: plans.flatMap(({ sockets }) => sockets),
    environment: Object.assign({}, ...plans.map(({ environment }) => environment)),
  };
}

function planShare(share: Share, caller: Caller, places: SharePlaces): SharePlan {
  switch (share) {
    case 'ssh-agent': {
      const socket = realPath(caller.SSH_AUTH_SOCK ?? '');
      if (socket === null || !statSync(socket).isSocket())
        throw unavailable(share, 'SSH_AUTH_SOCK names no socket', 'start an agent and `ssh-add` a key');
      const target = `${places.shared}/ssh-agent.sock`;
      return {
        ...NONE,
        sockets: [{ source: socket, target, writable: true }],
        environment: { SSH_AUTH_SOCK: target },
      };
    }
    case 'gitconfig':
      return sharedFile(share, caller, places, ['.gitconfig', '.config/git/config'], (path) => ({
        GIT_CONFIG_GLOBAL: path,
      }));
    case 'known-hosts':
      return sharedFile(share, caller, places, ['.ssh/known_hosts'], (path) => ({
        GIT_SSH_COMMAND: `ssh -o UserKnownHostsFile=${path}`,
      }));
    case 'npmrc':
      return sharedFile(share, caller, places, ['.npmrc'], (path) => ({ NPM_CONFIG_USERCONFIG: path }));
  }
}

/** The first that is there. */
function sharedFile(
  share: Share,
  { HOME: home = homedir() }: Caller,
  places: SharePlaces,
  names: readonly string[],
  variables: (path: string) => Readonly<Record<string, string>>,
): SharePlan {
  const found = names.map((name) => join(home, name)).find((path) => existsSync(path));
  const source = found === undefined ? null : realPath(found);
  if (source === null)
    throw unavailable(share, `there is no ~/${names.join(' and no ~/')}`, `leave out --share ${share}`);
  const target = `${places.shared}/${share}`;
  return { ...NONE, files: [{ source, target, writable: false }], environment: variables(target) };
}

function planCaches(cache: string | null, places: SharePlaces): SharePlan {
  if (cache === null) return NONE;
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const environment = Object.entries(CACHES).map(([name, folder]) => [name, `${places.cache}/${folder}`]);
  return {
    ...NONE,
    folders: [{ source: cache, target: places.cache, writable: true }],
    environment: Object.fromEntries(environment),
  };
}

function unavailable(share: Share, why: string, hint: string): SandError {
  return new SandError('share-unavailable', `--share ${share}: ${why}`, hint);
}
