/**
 * Which policy file a rule for a run goes into: the one that the run was started under, else the one that is found here,
 * else a new one that extends what the run went by. Says why, where it is not the run's own.
 */
import { isAbsolute, relative, resolve } from 'node:path';
import type { RunStart } from '../../audit/event.ts';
import { newPolicy } from '../../policies/edit/edit.ts';
import { SandError } from '../errors.ts';
import type { ChangeToPlan } from '../policy-file/change-plan.ts';
import { openPolicyFile } from '../policy-file/policy-file.ts';
import { FOUND_NAME, findPolicy } from '../run/policy-choice.ts';

export interface RulePlace {
  readonly target: ChangeToPlan['target'];
  /** What a new file extends. */
  readonly bases: readonly string[];
  readonly notes: readonly string[];
}

/** Presets and groups, as layers name them. */
export const SHIPPED = /^(?:preset:|group:)?[a-z][a-z0-9-]*(?:\/all|\/quiet)?$/;

/** Raises `policy-missing`, `policy-unwritable`, `policy-unapproved`. */
export function rulePlace(
  { policyFile, start }: { readonly policyFile: string | null; readonly start: RunStart | null },
  cwd: string,
): RulePlace {
  if (policyFile !== null) return ownPlace(policyFile, cwd);
  const layers = start?.policy.layers ?? [];
  const shipped = layers.filter((name) => SHIPPED.test(name));
  const went = layers.length === 0 ? 'a policy that its log does not name' : layers.join(' + ');
  const found = findPolicy({ cwd });
  if (found !== null) {
    const file = shownPath(found.path, cwd);
    return {
      target: { file, path: found.path, before: openPolicyFile(found.path) },
      bases: [],
      notes: [
        `The run went by ${went}, where no rule can be added. This one goes into ${file}, which \`sand run\` finds in this folder.`,
      ],
    };
  }
  const bases = shipped.length === 0 ? ['strict'] : shipped;
  return {
    target: {
      file: FOUND_NAME,
      path: resolve(cwd, FOUND_NAME),
      before: null,
      baseline: newPolicy([], bases),
    },
    bases,
    notes: [
      `The run went by ${went}, where no rule can be added. This one goes into a new ${FOUND_NAME} in this folder that extends ${bases.join(', ')}.`,
    ],
  };
}

function ownPlace(path: string, cwd: string): RulePlace {
  const file = shownPath(path, cwd);
  const before = openPolicyFile(path);
  if (before === null) {
    throw new SandError(
      'policy-missing',
      `${file}, the policy file of the run, is not there any more`,
      'put it back, or write the rule elsewhere with sand policy',
    );
  }
  return { target: { file, path, before }, bases: [], notes: [] };
}

/** As the person knows it; a file of another folder by all of its path. */
function shownPath(path: string, cwd: string): string {
  const shown = relative(cwd, path);
  return isAbsolute(shown) || shown.startsWith('..') ? path : shown;
}
