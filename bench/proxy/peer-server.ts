/** A proxy of another npm package, behind a loopback port and as near to its own defaults as it starts. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { serveTasks, settingsOf } from '../program.ts';

export interface PeerSettings {
  readonly peer: 'proxy-chain' | 'srt';
  /** Where the package is unpacked. */
  readonly folder: string;
}

export interface PeerReady {
  readonly proxyPort: number;
}

interface ChainModule {
  readonly Server: new (settings: {
    readonly port: number;
    readonly host: string;
  }) => { readonly port: number; listen(): Promise<void> };
}

interface SrtModule {
  createHttpProxyServer(settings: { filter(port: number, host: string): boolean }): Server;
}

const { peer, folder } = settingsOf<PeerSettings>();

async function startChain(): Promise<number> {
  const { Server } = (await load('dist/index.js')) as ChainModule;
  const server = new Server({ port: 0, host: '127.0.0.1' });
  await server.listen();
  return server.port;
}

async function startSrt(): Promise<number> {
  const { createHttpProxyServer } = (await load('dist/sandbox/http-proxy.js')) as SrtModule;
  const server = createHttpProxyServer({ filter: (_, host) => host === '127.0.0.1' });
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const at = server.address();
  return typeof at === 'object' && at !== null ? at.port : 0;
}

function load(path: string): Promise<unknown> {
  return import(pathToFileURL(join(folder, path)).href);
}

const ready: PeerReady = { proxyPort: peer === 'srt' ? await startSrt() : await startChain() };
serveTasks(ready, async () => ({}));
