/** `sand policy schema`: the JSON Schema of policy files, as the package carries it. */
import { policyJsonSchema } from '../../../policies/schema.ts';

export function printSchema(write: (text: string) => void): number {
  write(`${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
  return 0;
}
