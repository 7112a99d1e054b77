/**
 * Policy files that are read again while a guest runs: what the guest has a say in keeps the content that was read
 * of it when the host alone had one. Decides which content counts; when to read is `policy-watch.ts`'s.
 */
import type { FileReading, PolicyReader } from '../../policies/compile.ts';
import { isInReach } from './guest-reach.ts';

const REACHED: FileReading = {
  kind: 'unreadable',
  detail:
    'it lies where the guest can write, and was no part of the policy before (`sand policy set` takes it as it is)',
};

export interface KeptReader {
  /** Takes every file as it is, and remembers it. */
  readonly first: PolicyReader;
  /** Takes what lies in the guest's reach as it was, a file that was not there included. */
  readonly again: PolicyReader;
}

/** `writable`: real paths of the folders that the guest can write. */
export function createKeptReader(reader: PolicyReader, writable: readonly string[]): KeptReader {
  const readings = new Map<string, FileReading>();
  const remember = (path: string, reading: FileReading): FileReading => {
    readings.set(path, reading);
    return reading;
  };
  // Fail closed: in the guest's reach only what was read before it could write counts, and nothing that is new.
  const kept = (path: string): FileReading => readings.get(path) ?? REACHED;
  return {
    first: { ...reader, readFile: (path) => remember(path, reader.readFile(path)) },
    again: {
      ...reader,
      readFile(path) {
        if (isInReach(path, writable)) return kept(path);
        const reading = reader.readFile(path);
        // The host may have turned a link into the guest's reach since.
        return isInReach(path, writable) ? kept(path) : remember(path, reading);
      },
    },
  };
}
