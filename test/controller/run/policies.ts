/** Policies for the tests of a run, from their text. */
import { compilePolicy } from '../../../policies/compile.ts';
import type { PolicyInForce } from '../../../policies/model.ts';
import { memoryReader } from '../../policies/reader.ts';

export function policyOf(text: string): PolicyInForce {
  const compiled = compilePolicy(
    [{ kind: 'named', name: './policy.yaml' }],
    memoryReader({ 'policy.yaml': text }),
  );
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.issues));
  return { policy: compiled.value, ceilings: [] };
}
