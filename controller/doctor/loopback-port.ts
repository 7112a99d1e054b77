/**
 * Whether the resolver would get a loopback port for UDP and TCP alike. Opens one for a moment and closes it;
 * which ports are refused is decided in `dns/bind.ts`.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { type BindResult, bindPair, type Opened, type Openers } from '../../dns/bind.ts';
import { DNS_LIMITS } from '../../dns/limits.ts';
import { parseAddress } from '../../policies/address.ts';
import type { Finding } from '../backends/backend.ts';
import { failed, ok } from './finding.ts';

const CHECK = 'loopback port';
const LOOPBACK = '127.0.0.1';

export async function checkLoopbackPort(openers: Openers = OPENERS): Promise<Finding> {
  const closers: (() => void)[] = [];
  const kept = (opened: Opened): Opened => {
    if (!opened.ok) return opened;
    // `bindPair` closes what it does not keep, and this check closes everything.
    const close = once(opened.close);
    closers.push(close);
    return { ...opened, close };
  };
  try {
    return judgeBind(
      await bindLoopback({
        datagram: async (port) => kept(await openers.datagram(port)),
        stream: async (port) => kept(await openers.stream(port)),
      }),
    );
  } finally {
    for (const close of closers) close();
  }
}

function judgeBind(result: BindResult): Finding {
  if (result.ok) return ok(CHECK, `can be had on ${LOOPBACK}, for example ${result.port}`);
  return failed(
    CHECK,
    `none can be had on ${LOOPBACK} for UDP and TCP: ${result.detail}`,
    `bring the loopback interface up: sudo ${process.platform === 'darwin' ? 'ifconfig lo0 up' : 'ip link set lo up'}`,
  );
}

async function bindLoopback(openers: Openers): Promise<BindResult> {
  const address = parseAddress(LOOPBACK);
  if (!address.ok) return { ok: false, code: 'bind-failed', detail: address.reason };
  return bindPair(address.value, 0, openers, DNS_LIMITS.bindAttempts);
}

const OPENERS: Openers = {
  datagram: (port) =>
    new Promise((resolve) => {
      const socket = createSocket('udp4');
      socket.once('error', (error) => resolve(notOpened(error)));
      socket.bind({ address: LOOPBACK, port, exclusive: true }, () =>
        resolve({
          ok: true,
          address: socket.address().address,
          port: socket.address().port,
          close: () => socket.close(),
        }),
      );
    }),
  stream: (port) =>
    new Promise((resolve) => {
      const server = createServer((socket) => socket.destroy());
      server.once('error', (error) => resolve(notOpened(error)));
      server.listen({ host: LOOPBACK, port, exclusive: true }, () => {
        const place = server.address();
        const at = typeof place === 'object' && place !== null ? place : { address: '', port: 0 };
        resolve({ ok: true, address: at.address, port: at.port, close: () => server.close() });
      });
    }),
};

function once(close: () => void): () => void {
  let closed = false;
  return () => {
    if (!closed) close();
    closed = true;
  };
}

function notOpened(error: Error): Opened {
  const inUse = Reflect.get(error, 'code') === 'EADDRINUSE';
  return { ok: false, inUse, detail: error.message };
}
