/** Which runtimes of guests there are. */
import type { Builder } from './building.ts';
import { namespaceBuilder } from './runtime/namespaces/builder.ts';
import { namespaces } from './runtime/namespaces/runtime.ts';
import type { Runtime } from './runtime/runtime.ts';
import type { Settings } from './settings.ts';

const RUNTIMES: Readonly<Record<Settings['runtime'], Runtime>> = { namespaces };

export function runtimeOf({ runtime }: Settings): Runtime {
  return RUNTIMES[runtime];
}

/** Builds have a machine of their own in the tool; here they run in namespaces, whatever runs the guests. */
export function builderOf(): Builder {
  return namespaceBuilder;
}
