/** Which verbs the emulated `tart` does, each loaded only where it is asked for. */
import type { Verb } from './call.ts';

const making = () => import('./commands/making.ts');
const listing = () => import('./commands/listing.ts');
const ending = () => import('./commands/ending.ts');
const images = () => import('./commands/images.ts');

const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  create: async () => (await making()).create,
  clone: async () => (await making()).clone,
  set: async () => (await making()).set,
  rename: async () => (await making()).rename,
  get: async () => (await listing()).get,
  list: async () => (await listing()).list,
  ip: async () => (await listing()).ip,
  run: async () => (await import('./commands/run.ts')).run,
  exec: async () => (await import('./commands/exec.ts')).exec,
  stop: async () => (await ending()).stop,
  suspend: async () => (await ending()).suspend,
  delete: async () => (await ending()).remove,
  pull: async () => (await images()).pull,
  fqn: async () => (await images()).fqn,
};

/** Null for what is accepted and not emulated. */
export async function findVerb(command: string): Promise<Verb | null> {
  return (await VERBS[command]?.()) ?? null;
}
