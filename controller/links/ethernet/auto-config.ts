/** The proxy auto-config that the lease names: one small answer to any request, since nothing else is there to ask for. */

import { CABLE, formatIpv4 } from './addresses.ts';
import type { GuestStream } from './guest-stream.ts';

/** No client's request for one file is longer. */
const REQUEST_BYTES = 8 * 1024;
const TIMEOUT_MS = 10_000;

const SCRIPT = `function FindProxyForURL(url, host) {
  if (host === 'localhost' || host === '127.0.0.1' || host === '[::1]' || host === '::1') return 'DIRECT';
  return 'PROXY ${formatIpv4(CABLE.gateway)}:${CABLE.proxyPort}';
}
`;

const ANSWER = [
  'HTTP/1.1 200 OK',
  'content-type: application/x-ns-proxy-autoconfig',
  `content-length: ${SCRIPT.length}`,
  'cache-control: no-store',
  'connection: close',
  '',
  SCRIPT,
].join('\r\n');

export function serveAutoConfig(stream: GuestStream): void {
  let request = '';
  stream.on('error', () => stream.destroy());
  stream.setTimeout(TIMEOUT_MS, () => stream.destroy());
  stream.on('end', () => stream.end());
  stream.on('data', (chunk: Buffer) => {
    request += chunk.toString('latin1');
    if (request.length > REQUEST_BYTES) stream.destroy();
    else if (/\r?\n\r?\n/.test(request) && !stream.writableEnded) stream.end(ANSWER);
  });
}
