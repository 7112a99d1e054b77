/** The change of the policy file that would allow what was denied, as `sand policy allow` makes it, with what it opens. Writes nothing. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { destinationOf } from './annotation.ts';
import { cleanEnvironment, type StepInputs } from './invocation.ts';
import { LIMITS } from './limits.ts';
import { ask } from './process.ts';
import { type CiReport, type PolicyPatch, parsePolicyPatch } from './report.ts';
import type { Environment } from './runner-files.ts';

export interface PatchConfig {
  readonly sand: readonly string[];
  readonly inputs: Pick<StepInputs, 'policy'>;
  readonly workspace: string;
}

const FOUND = 'sand.policy.yaml';

/** `policyFile` is null where no policy of this run is a file; `patch`, where nothing can be proposed. */
export async function proposePatch(
  { sand, inputs, workspace }: PatchConfig,
  report: CiReport,
  environment: Environment,
): Promise<{ readonly policyFile: string | null; readonly patch: PolicyPatch | null }> {
  const named = inputs.policy.length === 0 ? [FOUND] : inputs.policy;
  const files = named.filter((name) => isFile(name) && existsSync(resolve(workspace, name)));
  const [policyFile = null] = files;
  const hosts = allowable(report);
  if (policyFile === null || hosts.length === 0) return { policyFile, patch: null };
  const file = policyFile.includes('/') ? policyFile : `./${policyFile}`;
  const argv = [...sand, 'policy', 'allow', '--json', '--file', file, ...hosts];
  // Where CI is set, nothing is asked and nothing written.
  const clean = { ...cleanEnvironment(environment, []), CI: 'true' };
  const { stdout } = await ask({ argv, cwd: workspace, environment: clean }, LIMITS.toolMs);
  return { policyFile, patch: parsePolicyPatch(stdout.toString()) };
}

/** As sand tells policy files from presets and groups. */
function isFile(name: string): boolean {
  return name.includes('/') || /\.[a-z]+$/i.test(name);
}

/** What a rule of its own would turn. A name that is none, or looks like a flag, is left out. */
export function allowable({ denied }: Pick<CiReport, 'denied'>): readonly string[] {
  const hosts = denied
    .filter(({ suggestion }) => suggestion?.startsWith('- allow: ') === true)
    .filter(({ host }) => /^[a-z0-9_][a-z0-9_.:-]*$/i.test(host))
    .map(destinationOf);
  return [...new Set(hosts)].slice(0, LIMITS.rows);
}
