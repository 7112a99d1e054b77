/**
 * The settings of the caller's terminal, kept for a command that is ended before it could set them back. Only
 * then are they restored: a command that ends by itself may mean what it has set.
 */
import { runTool } from './runner.ts';

/** stty answers in milliseconds. */
const STTY_TIMEOUT_MS = 2_000;

/** Gives what restores the settings; null where there is no terminal to speak of. Never rejects. */
export async function saveTerminal(): Promise<(() => Promise<void>) | null> {
  const saved = await stty(['stty', '-F', '/dev/tty', '-g']);
  if (saved === null || !/^[0-9a-fA-F:]+$/.test(saved)) return null;
  return async () => {
    // The guest's last foreground group is gone: without this the kernel would stop whoever sets the terminal now.
    await stty(['sh', '-c', 'trap "" TTOU; exec stty -F /dev/tty "$1"', 'sand', saved]);
  };
}

async function stty([file = '', ...args]: readonly string[]): Promise<string | null> {
  try {
    const { exitCode, stdout } = await runTool(file, args, { timeoutMs: STTY_TIMEOUT_MS });
    return exitCode === 0 ? stdout.trim() : null;
  } catch {
    return null;
  }
}
