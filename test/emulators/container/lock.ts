/** Keeps calls of the tool that run at the same time apart: one holds a name, and the kernel frees it when that call ends. */
import { createHash } from 'node:crypto';
import type { Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from './failure.ts';
import type { Home } from './home.ts';

const RETRY_MS = 10;
/** Longer than any verb holds one. */
const GIVE_UP_MS = 60_000;

export async function withLock<T>(home: Pick<Home, 'root'>, name: string, run: () => Promise<T>): Promise<T> {
  const digest = createHash('sha256').update(`${home.root}\0${name}`).digest('hex').slice(0, 32);
  const deadline = Date.now() + GIVE_UP_MS;
  for (;;) {
    const server = await hold(`\0container-emulator-${digest}`);
    if (server !== null) {
      try {
        return await run();
      } finally {
        server.close();
      }
    }
    if (Date.now() > deadline) throw new Failure(`timed out waiting for ${name}`);
    await delay(RETRY_MS);
  }
}

/** An abstract socket can be bound once. */
async function hold(address: string): Promise<Server | null> {
  // Loaded here: most calls hold nothing.
  const { createServer } = await import('node:net');
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error) => {
      if ('code' in error && error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen(address, () => resolve(server));
  });
}
