/** The three verdicts, each with what happened. Pure. */
import type { Judged } from './attack.ts';

export function held(happened: string): Judged {
  return { verdict: 'held', happened };
}

export function open(happened: string): Judged {
  return { verdict: 'open', happened };
}

export function untold(happened: string): Judged {
  return { verdict: 'untold', happened };
}
