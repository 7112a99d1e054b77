/**
 * Origins for the end-to-end tests, all on 127.0.0.1: plain HTTP, HTTPS under an authority made for the test,
 * a raw TCP echo, and a name server that knows their names and counts what it is asked.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const ALLOWED = 'allowed.origin.test';
export const DENIED = 'denied.origin.test';

export interface Origins {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly tcpPort: number;
  readonly dnsPort: number;
  /** PEM file of the authority that signed the HTTPS origin; below `folder`, readable by everybody. */
  readonly authority: string;
  /** Names that the name server was asked for. */
  readonly asked: readonly string[];
  /** `METHOD host path` of each request that reached an origin. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export async function createOrigins(): Promise<Origins> {
  const folder = mkdtempSync(join(tmpdir(), 'sand-origins-'));
  chmodSync(folder, 0o755);
  const { key, cert } = createCertificates(folder);
  const requests: string[] = [];
  const http = createHttpServer((request, response) => {
    requests.push(`${request.method} ${request.headers.host} ${request.url}`);
    response.end(`hello from ${request.headers.host}\n`);
  });
  const https = createHttpsServer({ key, cert }, (request, response) => {
    requests.push(`${request.method} ${request.headers.host} ${request.url}`);
    serveTls(request.url ?? '/', response);
  });
  const tcp = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => socket.write(`echo ${chunk.toString()}`));
  });
  const asked: string[] = [];
  const dns = createSocket('udp4');
  dns.on('message', (message, peer) => {
    const { name, reply } = answer(message);
    asked.push(name);
    dns.send(reply, peer.port, peer.address);
  });
  dns.bind({ port: 0, address: '127.0.0.1' });
  await once(dns, 'listening');
  const servers = [http, https, tcp];
  const [httpPort = 0, httpsPort = 0, tcpPort = 0] = await Promise.all(servers.map(listen));
  return {
    httpPort,
    httpsPort,
    tcpPort,
    dnsPort: dns.address().port,
    authority: join(folder, 'ca.pem'),
    asked,
    requests,
    async close() {
      dns.close();
      for (const server of [http, https]) server.closeAllConnections();
      for (const server of servers) server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A git repository's smart HTTP is more than these tests need; the dumb protocol is two files. */
function serveTls(path: string, response: { end(text: string): unknown }): void {
  response.end(path.startsWith('/json') ? '{"ok":true}\n' : `secret hello of ${path}\n`);
}

async function listen(server: Server): Promise<number> {
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function createCertificates(folder: string): { readonly key: Buffer; readonly cert: Buffer } {
  mkdirSync(folder, { recursive: true });
  const at = (name: string) => join(folder, name);
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...curve,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=sand test authority',
  );
  openssl(
    'req',
    ...curve,
    '-keyout',
    'origin.key',
    '-out',
    'origin.csr',
    '-subj',
    `/CN=${ALLOWED}`,
    '-addext',
    `subjectAltName=DNS:${ALLOWED},DNS:${DENIED},DNS:host.sand`,
  );
  openssl(
    'x509',
    '-req',
    '-in',
    'origin.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'origin.pem',
    '-days',
    '2',
    '-copy_extensions',
    'copy',
  );
  chmodSync(at('ca.pem'), 0o644);
  return { key: readFileSync(at('origin.key')), cert: readFileSync(at('origin.pem')) };
}

/** A for names below origin.test, empty for their other types, NXDOMAIN for the rest (RFC 1035 section 4). */
function answer(query: Buffer): { readonly name: string; readonly reply: Buffer } {
  const labels: string[] = [];
  let at = 12;
  for (let size = query[at] ?? 0; size > 0; size = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + size));
    at += size + 1;
  }
  const name = labels.join('.').toLowerCase();
  const question = query.subarray(12, at + 5);
  const known = name.endsWith('.origin.test');
  const isAddress = query.readUInt16BE(at + 1) === 1;
  const record =
    known && isAddress
      ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1])
      : Buffer.alloc(0);
  const header = Buffer.from([
    query[0] ?? 0,
    query[1] ?? 0,
    0x81,
    known ? 0x80 : 0x83,
    0,
    1,
    0,
    record.length > 0 ? 1 : 0,
    0,
    0,
    0,
    0,
  ]);
  return { name, reply: Buffer.concat([header, question, record]) };
}
