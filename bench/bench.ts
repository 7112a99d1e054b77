/** What a benchmark is: a file of this folder that exports these three. Figures are shown, never asserted. */
export interface Bench {
  /** What `npm run bench -- NAME` takes. */
  readonly name: string;
  /** One line of the list that is shown without a name. */
  readonly summary: string;
  /** Prints one table, and leaves nothing behind: no process, no file. */
  run(): Promise<void>;
}
