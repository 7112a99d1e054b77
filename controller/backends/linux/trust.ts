/**
 * Where the authorities that `--trust-ca` names lie in a guest: at paths of sand's own, and over the lists of
 * the system and of its JVMs, for what reads those and knows no variable. Which tool reads what is in
 * `controller/guest/tools.ts`; the host's lists are read by `authority-lists.ts`. Pure.
 */
import { planAuthorities } from '../../guest/tools.ts';
import type { Mount } from './mounts.ts';
import type { SharePlan } from './shares.ts';

/** The host's own lists, as far as the guest sees them. Paths are real. */
export interface AuthorityLists {
  readonly system: { readonly path: string; readonly text: string } | null;
  /** Files that JVMs take for their list, each once. */
  readonly java: readonly string[];
}

/** `read` is called where there is something to trust. Later mounts win. */
export function planTrust(added: readonly string[], read: () => AuthorityLists): SharePlan {
  if (added.length === 0) return { mounts: [], environment: {} };
  const { system, java } = read();
  const { environment, files, bundle, javaStore } = planAuthorities(added, system?.text ?? null);
  const mounts = [
    ...files.map(({ path, content }) => ({ target: path, content })),
    ...(system === null ? [] : [{ target: system.path, content: bundle }]),
    ...java.map((target) => ({ target, content: javaStore })),
  ].map((file): Mount => ({ kind: 'data', ...file }));
  return { mounts, environment };
}
