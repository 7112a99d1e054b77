/** The names that a shell asks for while somebody types: little is loaded, and what goes wrong is no name. */
import { auditRoot, type Environment } from '../../../audit/runs.ts';
import { PRESET_NAMES, readGroups } from '../../../policies/presets.ts';
import { listGuests } from '../../guests/registry.ts';
import { usage } from '../../run/options.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';

const KINDS = ['guests', 'presets', 'groups', 'policies'] as const;

/** One a line. Raises `usage`. */
export function completionNames(kind: string, env: Environment): readonly string[] {
  switch (kind) {
    case 'guests':
      return listGuests(auditRoot(env)).map(({ name }) => name);
    case 'presets':
      return PRESET_NAMES;
    case 'groups':
      return groupNames();
    case 'policies':
      return [...PRESET_NAMES, ...groupNames().map((name) => `group:${name}`)];
    default:
      throw usage(`there is no list of ${kind}`, `write one of: ${KINDS.join(', ')}`);
  }
}

function groupNames(): readonly string[] {
  return [...(readGroups(createPolicyReader('/').readData)?.keys() ?? [])];
}
