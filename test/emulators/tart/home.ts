/** Where the emulated `tart` keeps what it knows: below TART_HOME, `~/.tart` without it, as the real tool does. */
import { join } from 'node:path';

export interface TartHome {
  readonly root: string;
  readonly vms: string;
  readonly images: string;
  readonly temporary: string;
  /** What can be pulled. */
  readonly registry: string;
  /** One file for each process that has to be ended after a test. */
  readonly processes: string;
  readonly settingsFile: string;
  readonly countsFile: string;
  /** What a collector of traces would have been told: a command line on each line. */
  readonly spansFile: string;
}

export function tartHomeOf(root: string): TartHome {
  return {
    root,
    vms: join(root, 'vms'),
    images: join(root, 'cache', 'OCIs'),
    temporary: join(root, 'tmp'),
    registry: join(root, 'registry'),
    processes: join(root, 'processes'),
    settingsFile: join(root, 'emulator.json'),
    countsFile: join(root, 'counts.json'),
    spansFile: join(root, 'spans.jsonl'),
  };
}

/** The folder that a HOME without TART_HOME means. */
export function defaultRoot(directory: string): string {
  return join(directory, '.tart');
}
