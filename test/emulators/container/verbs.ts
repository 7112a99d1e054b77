/** Which verbs the emulator does, each loaded only where it is asked for, and which of them ask the API server. */
import type { Verb } from './call.ts';

const life = () => import('./commands/life.ts');
const listing = () => import('./commands/listing.ts');
const files = () => import('./commands/files.ts');
const image = () => import('./commands/image.ts');
const volume = () => import('./commands/volume.ts');
const network = () => import('./commands/network.ts');
const system = () => import('./commands/system.ts');

const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  create: async () => (await life()).create,
  start: async () => (await life()).start,
  run: async () => (await life()).run,
  exec: async () => (await life()).exec,
  stop: async () => (await life()).stop,
  kill: async () => (await life()).kill,
  delete: async () => (await life()).remove,
  list: async () => (await listing()).list,
  inspect: async () => (await listing()).inspect,
  logs: async () => (await listing()).logs,
  copy: async () => (await files()).copy,
  stats: async () => (await files()).stats,
  build: async () => (await import('./commands/build.ts')).build,
  'image pull': async () => (await image()).pull,
  'image list': async () => (await image()).list,
  'image inspect': async () => (await image()).inspect,
  'image delete': async () => (await image()).remove,
  'image tag': async () => (await image()).tag,
  'image save': async () => (await image()).save,
  'image load': async () => (await image()).load,
  'volume create': async () => (await volume()).create,
  'volume list': async () => (await volume()).list,
  'volume inspect': async () => (await volume()).inspect,
  'volume delete': async () => (await volume()).remove,
  'network create': async () => (await network()).create,
  'network list': async () => (await network()).list,
  'network inspect': async () => (await network()).inspect,
  'network delete': async () => (await network()).remove,
  'system status': async () => (await system()).status,
  'system version': async () => (await system()).version,
  'system start': async () => (await system()).start,
  'system stop': async () => (await system()).stop,
};

/** Null for what is accepted and not emulated. */
export async function findVerb(command: string): Promise<Verb | null> {
  return (await VERBS[command]?.()) ?? null;
}

export function asksServer(command: string): boolean {
  return !command.startsWith('system ');
}
