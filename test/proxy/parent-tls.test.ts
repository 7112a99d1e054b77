import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, getCACertificates, setDefaultCACertificates } from 'node:tls';
import { expect, it } from 'vitest';
import type { Lookup, ParentProxy } from '../../proxy/context.ts';
import { addressOf, policyOf, Rig } from './rig.ts';

const AUTHORIZATION = 'Basic c2FuZDpzM2NyZXQ=';

function certificate(): { readonly key: string; readonly cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'sand-parent-'));
  try {
    const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
    const made = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    ];
    const named = ['-subj', '/CN=proxy.corp.example', '-addext', 'subjectAltName=DNS:proxy.corp.example'];
    execFileSync('openssl', [...made, ...named, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What a tunnel through a parent on TLS gets, and what that parent heard. */
async function tunnelThrough(name: string, trusted: boolean) {
  const { key, cert } = certificate();
  const heard: string[] = [];
  const server = createServer({ key, cert }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      heard.push(chunk.toString('latin1'));
      socket.write(heard.length === 1 ? 'HTTP/1.1 200 OK\r\n\r\n' : 'pong');
    });
  });
  server.on('tlsClientError', () => {});
  const before = getCACertificates('default');
  const parent: { -readonly [K in keyof ParentProxy]: ParentProxy[K] } = {
    host: { kind: 'name', name: name as never },
    port: 0,
    secure: true,
    authorization: AUTHORIZATION,
  };
  const found: Lookup = { kind: 'addresses', addresses: [addressOf('127.0.0.1')] };
  await using rig = new Rig({
    policy: policyOf('  - allow: ssh.missing.example\n    tcp: [22]\n'),
    parents: { parentOf: () => parent, lookup: async () => found },
  });
  parent.port = await rig.adopt(server);
  try {
    if (trusted) setDefaultCACertificates([...before, cert]);
    const client = await rig.client(await rig.proxyPort());
    client.send('CONNECT ssh.missing.example:22 HTTP/1.1\r\nHost: ssh.missing.example:22\r\n\r\n');
    await client.until(/\r\n\r\n/);
    if (client.text.includes(' 200 ')) await client.send('ping').until(/pong$/);
    return { text: client.text, heard: heard.join() };
  } finally {
    setDefaultCACertificates(before);
  }
}

it('a parent proxy on TLS that the host trusts carries a tunnel', async () => {
  const { text, heard } = await tunnelThrough('proxy.corp.example', true);
  expect(text).toMatch(/pong$/);
  expect(heard).toContain(`Proxy-Authorization: ${AUTHORIZATION}\r\n`);
  expect(heard).toMatch(/ping$/);
});

it('a parent proxy with the certificate of another name gets no credentials', async () => {
  const { text, heard } = await tunnelThrough('other.corp.example', true);
  expect(text).toMatch(/^HTTP\/1\.1 502 /);
  expect(heard).toBe('');
});

it('a parent proxy that the host does not trust gets no credentials', async () => {
  const { text, heard } = await tunnelThrough('proxy.corp.example', false);
  expect(text).toMatch(/^HTTP\/1\.1 502 /);
  expect(heard).toBe('');
});
