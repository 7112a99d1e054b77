/** Which runtimes of guests there are. */
import { namespaces } from './runtime/namespaces/runtime.ts';
import type { Runtime } from './runtime/runtime.ts';
import type { Settings } from './settings.ts';

const RUNTIMES: Readonly<Record<Settings['runtime'], Runtime>> = { namespaces };

export function runtimeOf({ runtime }: Settings): Runtime {
  return RUNTIMES[runtime];
}
