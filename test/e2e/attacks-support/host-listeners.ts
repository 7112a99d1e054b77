/** Unix sockets and FIFOs of the host that no guest may reach by their paths; tells who was visited. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ListenerSpec {
  /** As it is bound: absolute, or relative to `folder`. */
  readonly path: string;
  readonly folder?: string;
  readonly datagram?: boolean;
  /** Where it is moved once bound; the kernel goes on listing the first name. */
  readonly renamed?: string;
}

export interface HostListeners {
  readonly visits: readonly string[];
  close(): Promise<void>;
}

export async function createHostListeners(
  sockets: readonly ListenerSpec[],
  fifos: readonly string[],
): Promise<HostListeners> {
  const program = fileURLToPath(new URL('listeners.py', import.meta.url));
  const child = spawn('/usr/bin/python3', [program, JSON.stringify({ sockets, fifos })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const visits: string[] = [];
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.on('close', () => reject(new Error('the listeners did not come up')));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n').filter((word) => word !== '')) {
        if (line === 'ready') resolve();
        else visits.push(line);
      }
    });
  });
  return {
    visits,
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}
