/** Shows a fault of a call: what it does instead of, or around, the verb. */
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from './failure.ts';
import type { Home } from './home.ts';
import { recordProcess } from './processes.ts';

/** As long as a test may want to wait for it. */
const HANG_MS = 3_600_000;
const GARBAGE = '\u0000\u001b[31m<<< not what was asked for >>>\n{"';

interface CallFault {
  readonly fault: string;
  readonly ms?: number;
  readonly message?: string;
  readonly status?: number;
}

/** A status ends the call there; null lets the verb do its work. */
export async function showFaults(
  home: Pick<Home, 'processes'>,
  faults: readonly CallFault[],
): Promise<number | null> {
  for (const fault of faults) {
    const status = await showFault(home, fault);
    if (status !== null) return status;
  }
  return null;
}

async function showFault(
  home: Pick<Home, 'processes'>,
  { fault, ms, message, status = 1 }: CallFault,
): Promise<number | null> {
  if (fault === 'hang') {
    recordProcess(home, process.pid);
    await delay(ms ?? HANG_MS);
  }
  if (fault === 'delay') await delay(ms ?? 1000);
  if (fault === 'fail') throw new Failure(message ?? 'internalError', status);
  if (fault === 'xpc-error') throw new Failure(XPC_MESSAGE);
  if (fault === 'silent') return status;
  if (fault === 'garbage') {
    process.stdout.write(message ?? GARBAGE);
    return 0;
  }
  if (fault === 'broken-json') breakOutput();
  return null;
}

export const XPC_MESSAGE = [
  'XPC connection error: Connection invalid',
  'Ensure container system service has been started with `container system start`.',
].join('\n');

/** Half of what is printed never arrives. */
function breakOutput(): void {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (
    text: string | Uint8Array,
    second?: BufferEncoding | ((error?: Error | null) => void),
    third?: (error?: Error | null) => void,
  ) => write(String(text).slice(0, String(text).length / 2), typeof second === 'function' ? second : third);
}
