/** What commands check of their options before they do anything, beyond what the grammar says. */
import { existsSync } from 'node:fs';
import { type Refused, refusal } from '../grammar/parse.ts';
import { type Call, hasFlag, optionValues } from './call.ts';
import { Failure } from './failure.ts';
import { normalizeReference } from './images.ts';

const NEED_IDS = ['stop', 'kill', 'delete', 'image delete', 'network delete', 'volume delete'];

/** Null where all is well; some checks are failures of status 1, as in the tool. */
export function validate(call: Call): Refused | null {
  const name = call.parsed.command.path.join(' ');
  const given = call.parsed.arguments.length > 0;
  const isAll = hasFlag(call, '--all');
  if (NEED_IDS.includes(name)) {
    if (!given && !isAll) throw new Failure('no containers specified and --all not supplied');
    if (given && isAll) throw new Failure('explicitly supplied container IDs conflict with the --all flag');
  }
  if (name !== 'build') return null;
  const context = call.parsed.arguments[0] ?? '.';
  if (!existsSync(context))
    return refusal(call.grammar, call.parsed.command, `context dir does not exist ${context}`);
  for (const tag of optionValues(call, '--tag')) {
    try {
      normalizeReference(tag);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return refusal(call.grammar, call.parsed.command, error.message);
    }
  }
  return null;
}
