/**
 * Listeners of sand's on this host that belong to no guest, such as the page of `sand audit ui`: each announces its
 * loopback port in a file of this user's, so that every gateway knows them as sand's own and dials none. Which address
 * leads there is `own-place.ts`'s.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { IpAddress } from '../../policies/model.ts';
import { processSight } from '../process/identity.ts';
import { leadsTo } from './own-place.ts';

const LOOPBACK = '127.0.0.1';

/** Beside the folder of the runs, where no guest writes. */
function listenersFolder(runs: string): string {
  return join(dirname(runs), 'listeners');
}

/** Of this process, at 127.0.0.1. Gives what takes it back; a process that was killed is known to be gone all the same. */
export function announceListener(runs: string, port: number): () => void {
  const folder = listenersFolder(runs);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, String(port));
  writeFileSync(path, `${process.pid} ${processSight().start(process.pid) ?? ''}\n`, { mode: 0o600 });
  return () => rmSync(path, { force: true });
}

/** Whether dialling this address and port would reach such a listener. Throws where that cannot be told: then nobody may dial it. */
export function isHostListener(
  runs: string,
  address: IpAddress,
  port: number,
  sight = processSight(),
): boolean {
  if (!leadsTo(address, LOOPBACK)) return false;
  let text: string;
  try {
    text = readFileSync(join(listenersFolder(runs), String(port)), 'utf8');
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return false;
    // Fail closed: what cannot be read may name a listener.
    throw error;
  }
  const [, pid, start] = /^(\d+) ([0-9A-Za-z: ]+)\n$/.exec(text) ?? [];
  // Fail closed: a file that does not say whose it is counts, and so does a process that nobody can be asked about.
  if (pid === undefined || start === 'unknown') return true;
  const now = sight.start(Number(pid));
  return now === 'unknown' || now === start;
}
