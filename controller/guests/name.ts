/** What a guest may be called: a name that people choose, or the id of its run. Pure. */
import { isRunId } from '../../audit/runs.ts';

/** One label of a hostname. */
export const NAME_CHARACTERS = 32;
/** It begins with a letter, so that it is no run id, no flag and no path; a file, an argument and a column hold it as it is. */
const NAME = /^[a-z][a-z0-9-]*$/;

export type GuestName = string & { readonly brand: 'guest name' };

/** A name for `--name`. */
export function parseGuestName(
  text: string,
): { readonly ok: true; readonly value: GuestName } | { readonly ok: false; readonly problem: string } {
  if (text.length > NAME_CHARACTERS)
    return { ok: false, problem: `longer than ${NAME_CHARACTERS} characters` };
  if (NAME.test(text)) return { ok: true, value: text as GuestName };
  return { ok: false, problem: 'a name begins with a small letter, and letters, digits and - follow' };
}

/** A guest without a name of its own goes by its run's id. */
export function isGuestName(text: string): text is GuestName {
  return isRunId(text) || parseGuestName(text).ok;
}
