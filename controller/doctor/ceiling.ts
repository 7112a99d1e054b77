/** Whether the machine owner's ceiling, where there is one, is kept from everybody else. */
import type { Finding } from '../backends/backend.ts';
import { CEILING_PATH, findTrouble, type Trouble } from '../run/ceiling-file.ts';
import { mayExist } from '../run/policy-choice.ts';
import { failed, ok } from './finding.ts';

const CHECK = 'ceiling';

export function checkCeiling(
  isThere: () => boolean = () => mayExist(CEILING_PATH),
  trouble: () => Trouble | null = () => findTrouble(CEILING_PATH, true),
): Finding {
  if (!isThere()) return ok(CHECK, `none at ${CEILING_PATH}`);
  const found = trouble();
  if (found === null) return ok(CHECK, CEILING_PATH);
  return failed(CHECK, `${found.path}: ${found.why}, so every run refuses it`, found.cure);
}
