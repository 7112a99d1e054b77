/** Runs a program of the host's system for the emulator, whatever PATH the tool was called with; what it is asked to do is decided elsewhere. */
import { execFileSync } from 'node:child_process';

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** A list of an archive's names is the longest answer. */
const MAX_BYTES = 64 * 1024 * 1024;

/** What it prints; throws where it fails. */
export function runTool(name: 'cc' | 'cp' | 'tar', ...words: readonly string[]): string {
  return execFileSync(name, words, {
    env: { PATH: SYSTEM_PATH },
    encoding: 'utf8',
    maxBuffer: MAX_BYTES,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
