/**
 * What a policy is compiled of, in the words of its user, and how its files are read. Types only: reading is the
 * caller's, and what is read in which order is decided by `layers.ts`.
 */
import type { DataReader } from './presets.ts';

/** One thing that a policy is compiled of, in the words of the user. */
export type PolicyRequest =
  /** A preset or group by its bare name; anything with a `/` or an ending is a file, relative to the reader's directory. */
  | { readonly kind: 'named'; readonly name: string }
  /** `HOST[:PORT]` as given to `--allow`, where HOST is a name, a pattern, an address or a range. */
  | { readonly kind: 'allow'; readonly host: string }
  /** Text that is no file (standard input, an editor's buffer). `file` is what issues call it; `directory` is what its relative files are relative to. */
  | {
      readonly kind: 'text';
      readonly text: Uint8Array | string;
      readonly file: string;
      readonly directory: string;
    };

export type FileReading =
  /** `realPath`: absolute, after all symbolic links. */
  | { readonly kind: 'file'; readonly realPath: string; readonly bytes: Uint8Array }
  | { readonly kind: 'missing' }
  /** `detail` completes "cannot be read: …"; a loop of links, a directory, a pipe and a lack of permission are this. */
  | { readonly kind: 'unreadable'; readonly detail: string };

export interface PolicyReader {
  /** Absolute; what the user's relative names are relative to. */
  readonly directory: string;
  /**
   * Reads a regular file by absolute path; never blocks on anything else, and need not read more than
   * `POLICY_LIMITS.fileBytes` plus one byte.
   */
  readFile(absolutePath: string): FileReading;
  readonly readData: DataReader;
}
