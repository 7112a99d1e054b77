/** Whether the API server runs, and what the tool says of its version. */
import type { Call } from './call.ts';
import { readJson } from './home.ts';

export const COMMIT = '0190097d00000000000000000000000000000000';

export function isServerUp({ home, settings }: Pick<Call, 'home' | 'settings'>): boolean {
  if (settings.server === 'down') return false;
  return readJson<{ isStopped: boolean }>(home.systemFile)?.isStopped !== true;
}

export function versionLine(version: string, app = 'container CLI'): string {
  return `${app} version ${version} (build: release, commit: ${COMMIT.slice(0, 7)})`;
}
