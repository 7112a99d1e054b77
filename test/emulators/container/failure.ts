/** How a verb ends that cannot do what it was asked: with a line on stderr in the real tool's style, and a status. */

export class Failure extends Error {
  readonly status: number;

  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** What the emulator accepts by the grammar and does not do. */
export function notEmulated(what: string): Failure {
  return new Failure(`not emulated: ${what}`);
}
