/** Whether this Node is new enough. Pure. */
import type { Finding } from '../backends/backend.ts';
import { failed, ok } from './finding.ts';

/** The floor of package.json; a test holds the two together. */
export const NODE_FLOOR = 24;

/** `version` as in `process.versions.node`. */
export function judgeNode(version: string): Finding {
  const major = Number.parseInt(version, 10);
  if (major >= NODE_FLOOR) return ok('Node', version);
  return failed(
    'Node',
    `${version} is older than ${NODE_FLOOR}`,
    `install Node ${NODE_FLOOR} or newer: npm install --global node@${NODE_FLOOR}`,
  );
}
