/**
 * sand's proxy and resolver as a gateway runs them, in a process of their own behind loopback ports: a policy on
 * top of `strict`, and an audit log on disk. Only the limits a guest is held to are out of the way.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createAuditLog } from '../../audit/log.ts';
import { createPolicyReader } from '../../controller/run/policy-reader.ts';
import { DNS_LIMITS } from '../../dns/limits.ts';
import { createResolver } from '../../dns/resolver.ts';
import { createDnsServer } from '../../dns/server.ts';
import { parseAddress } from '../../policies/address.ts';
import { compilePolicy } from '../../policies/compile.ts';
import type { IpAddress, PolicyInForce } from '../../policies/model.ts';
import { PROXY_LIMITS } from '../../proxy/limits.ts';
import { createProxy } from '../../proxy/proxy.ts';
import { serveTasks, settingsOf } from '../program.ts';
import type { OriginPorts } from './origin.ts';
import { ORIGIN_NAME } from './origin-name.ts';

export interface SandSettings {
  readonly folder: string;
  readonly origin: OriginPorts;
}

export interface SandReady {
  readonly proxyPort: number;
  readonly dnsPort: number;
}

const UNLIMITED = 1e9;
const BACKLOG = 4096;

const { folder, origin } = settingsOf<SandSettings>();
const loopback = addressOf('127.0.0.1');

function addressOf(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(`no address: ${text}`);
  return parsed.value;
}

function policyInForce(): PolicyInForce {
  const text = `version: 1
name: bench
extends: [strict]
rules:
  - allow: ${ORIGIN_NAME}
    http: [${origin.http}]
    tcp: [${origin.quiet}, ${origin.source}]
    addresses: [127.0.0.0/8]
`;
  const request = { kind: 'text', text, file: 'bench.yaml', directory: '/' } as const;
  const compiled = compilePolicy([request], createPolicyReader('/'));
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.issues));
  return { policy: compiled.value, ceilings: [] };
}

const inForce = policyInForce();
const audit = createAuditLog({ path: join(folder, 'audit.jsonl'), guest: 'bench', clock: Date.now });
const shared = { policy: () => inForce, hostAddresses: () => [], audit };
const resolver = createResolver(
  { ...shared, upstreams: () => [{ address: loopback, port: origin.dns }] },
  { limits: { ...DNS_LIMITS, requestsPerSecond: UNLIMITED, requestBurst: UNLIMITED } },
);
const dns = createDnsServer({ handler: resolver });
const bound = await dns.bind(loopback, 0, { asker: 'guest', mode: 'synthetic' });
if (!bound.ok) throw new Error(bound.detail);
const proxy = createProxy({
  ...shared,
  lookup: (name, signal) => resolver.lookup(name, signal),
  meaning: (address) => resolver.meaning(address),
  isOwn: () => false,
  limits: {
    ...PROXY_LIMITS,
    connections: UNLIMITED,
    requestsPerSecond: UNLIMITED,
    requestBurst: UNLIMITED,
  },
});
const server = createServer({ allowHalfOpen: true }, (socket) => proxy.acceptProxyConnection(socket));
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG });
await once(server, 'listening');
const at = server.address();
const ready: SandReady = {
  proxyPort: typeof at === 'object' && at !== null ? at.port : 0,
  dnsPort: bound.port,
};
serveTasks(ready, async () => ({}));
