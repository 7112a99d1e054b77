/** sand's resolver as a gateway runs it, with a policy and an audit log on disk; only its rate limit is out of the way. */
import { join } from 'node:path';
import { createAuditLog } from '../../audit/log.ts';
import { createPolicyReader } from '../../controller/run/policy-reader.ts';
import { DNS_LIMITS } from '../../dns/limits.ts';
import { createResolver } from '../../dns/resolver.ts';
import { createDnsServer } from '../../dns/server.ts';
import { parseAddress } from '../../policies/address.ts';
import { compilePolicy } from '../../policies/compile.ts';
import { serveTasks, settingsOf } from '../program.ts';

export interface DnsSettings {
  readonly folder: string;
  /** The zone whose names are allowed. */
  readonly zone: string;
}

export interface DnsReady {
  readonly port: number;
}

const UNLIMITED = 1e9;

const { folder, zone } = settingsOf<DnsSettings>();
const text = `version: 1\nname: bench\nextends: [strict]\nrules:\n  - allow: "*.${zone}"\n`;
const request = { kind: 'text', text, file: 'bench.yaml', directory: '/' } as const;
const compiled = compilePolicy([request], createPolicyReader('/'));
if (!compiled.ok) throw new Error(JSON.stringify(compiled.issues));
const inForce = { policy: compiled.value, ceilings: [] };
const resolver = createResolver(
  {
    policy: () => inForce,
    upstreams: () => [],
    hostAddresses: () => [],
    audit: createAuditLog({ path: join(folder, 'audit.jsonl'), guest: 'bench', clock: Date.now }),
  },
  { limits: { ...DNS_LIMITS, requestsPerSecond: UNLIMITED, requestBurst: UNLIMITED } },
);
const loopback = parseAddress('127.0.0.1');
if (!loopback.ok) throw new Error('no loopback');
const bound = await createDnsServer({ handler: resolver }).bind(loopback.value, 0, {
  asker: 'guest',
  mode: 'synthetic',
});
if (!bound.ok) throw new Error(bound.detail);
const ready: DnsReady = { port: bound.port };
serveTasks(ready, async () => ({}));
