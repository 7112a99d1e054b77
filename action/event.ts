/** What the event that started the workflow says: the pull request, and the commit to compare with. Pure. */
import { numberOrNull, objectOf, parseObject, stringOrNull } from './report.ts';

export interface WorkflowEvent {
  readonly pullRequest: number | null;
  /** The commit before; null where the event has none. */
  readonly base: string | null;
}

const NOTHING = /^0+$/;

export function parseEvent(text: string): WorkflowEvent {
  const event = parseObject(text);
  const pull = objectOf(event?.pull_request);
  const group = objectOf(event?.merge_group);
  const before = stringOrNull(event?.before);
  const base =
    stringOrNull(objectOf(pull?.base)?.sha) ??
    stringOrNull(group?.base_sha) ??
    // A new branch comes from nothing.
    (before === null || NOTHING.test(before) ? null : before);
  return { pullRequest: numberOrNull(pull?.number), base };
}
