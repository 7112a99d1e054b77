/**
 * The published JSON Schema of an audit line, and the check that the reader applies. The types of `event.ts`
 * hold the tables below: a field that is added there and not here does not compile.
 */
import { REASONS } from '../policies/reasons.ts';
import type {
  AuditEntry,
  AuditEvent,
  DecisionFacts,
  DeniedHost,
  ImageFact,
  ProcessFact,
  RuleFact,
  RunTotals,
} from './event.ts';
import { AUDIT_SCHEMA_VERSION } from './event.ts';
import { type Check, compileCheck, type JsonSchema } from './shape.ts';

type Kind = AuditEntry['kind'];
type EntryOf<K extends Kind> = Extract<AuditEntry, { kind: K }>;
type OptionalKey<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];
type Properties<T> = { readonly [K in keyof T]-?: JsonSchema };

/** Every field of a type, and which of them may be missing. */
interface Fields<T> {
  readonly properties: Properties<T>;
  readonly optional: { readonly [K in OptionalKey<T>]: true };
}

type Frame = Omit<AuditEvent, keyof AuditEntry>;

const TEXT = { type: 'string' } as const;
const TEXTS = { type: 'array', items: TEXT } as const;
const BOOLEAN = { type: 'boolean' } as const;
const COUNT = { type: 'integer', minimum: 0 } as const;
const ORDINAL = { type: 'integer', minimum: 1 } as const;
const PORT = { type: 'integer', minimum: 0, maximum: 65_535 } as const;
const REASON = { enum: Object.keys(REASONS), description: 'a code of docs/reasons.md' } as const;

function objectSchema<T>(fields: Fields<T>, description?: string): JsonSchema {
  const required = Object.keys(fields.properties).filter((name) => !Object.hasOwn(fields.optional, name));
  const schema = { type: 'object', properties: fields.properties, required } as const;
  return description === undefined ? schema : { ...schema, description };
}

const FRAME: Fields<
  Frame & { readonly seq: number; readonly time: string; readonly guest: string; readonly prev: string }
> = {
  properties: {
    seq: { ...ORDINAL, description: 'from 1, without gaps' },
    time: {
      type: 'string',
      pattern: '^[0-9+-]+-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z$',
      description: 'RFC 3339, UTC',
    },
    guest: TEXT,
    prev: {
      type: 'string',
      pattern: '^[0-9a-f]{64}$',
      description: 'sha256 of the line before, without its newline; zeros for the first',
    },
  },
  optional: {},
};

const RULE: Fields<RuleFact> = {
  properties: { id: TEXT, file: TEXT, line: COUNT, because: TEXT },
  optional: { because: true },
};

const FLOOD = { ...COUNT, description: 'how many refusals of a flood this line stands for' } as const;

const PROCESS = objectSchema<ProcessFact>(
  { properties: { pid: ORDINAL, command: TEXT }, optional: {} },
  'which process of the guest asked, by its number there; missing where that cannot be told',
);

const TOTALS = objectSchema<RunTotals>(
  {
    properties: {
      denied: COUNT,
      wouldBeDenied: COUNT,
      failed: COUNT,
      allowed: COUNT,
      muted: COUNT,
      bytesOut: COUNT,
      bytesIn: COUNT,
      topDenied: {
        type: 'array',
        items: objectSchema<DeniedHost>({
          properties: { host: TEXT, port: { anyOf: [{ type: 'null' }, PORT] }, count: COUNT },
          optional: {},
        }),
      },
    },
    optional: {},
  },
  'requests by what became of them, without what is muted',
);

const DECISION: Fields<DecisionFacts> = {
  properties: {
    asker: { enum: ['guest', 'host'] },
    verdict: { enum: ['allow', 'deny'] },
    reason: REASON,
    disposition: { enum: ['forwarded', 'refused', 'answered'] },
    rule: { anyOf: [{ type: 'null' }, objectSchema(RULE)], description: 'null where no rule decided' },
    policy: { type: 'string', description: 'digest of the policy that decided' },
    muted: BOOLEAN,
    detail: TEXT,
    suggestion: TEXT,
  },
  optional: { muted: true, detail: true, suggestion: true },
};

const KINDS: { readonly [K in Kind]: Fields<EntryOf<K>> & { readonly description: string } } = {
  'run-start': {
    description: 'the first line: what runs, where, under which policy',
    properties: {
      kind: { const: 'run-start' },
      schema: { const: AUDIT_SCHEMA_VERSION },
      run: TEXT,
      name: { type: 'string', description: 'what people call the guest, where not by its run' },
      sand: TEXT,
      node: TEXT,
      backend: TEXT,
      isolation: TEXT,
      confinement: { enum: ['enforced', 'cooperative'] },
      image: objectSchema<ImageFact>(
        { properties: { name: TEXT, digest: { anyOf: [{ type: 'null' }, TEXT] } }, optional: {} },
        'what the guest\u2019s root is of, where it is not the host\u2019s system',
      ),
      command: { ...TEXTS, description: 'arguments with secret-looking values replaced' },
      policy: objectSchema<EntryOf<'run-start'>['policy']>({
        properties: { name: TEXT, digest: TEXT, mode: TEXT, layers: TEXTS, phases: TEXTS, phase: TEXT },
        optional: { phases: true, phase: true },
      }),
      workdir: TEXT,
      before: {
        ...TEXTS,
        description: 'shell texts that run before the command, each in a phase of its own',
      },
      secrets: { ...TEXTS, description: 'names of the secrets that the guest was given as files' },
      attribution: { enum: ['process', 'none'], description: 'whether decisions say which process asked' },
      key: {
        type: 'string',
        pattern: '^[0-9a-f]{64}$',
        description: 'sha256 of the public key that checks the signature of the seal',
      },
    },
    optional: { before: true, image: true, name: true, secrets: true, attribution: true, key: true },
  },
  probe: {
    description: 'one start probe',
    properties: { kind: { const: 'probe' }, name: TEXT, passed: BOOLEAN, detail: TEXT },
    optional: {},
  },
  dns: {
    description: 'one DNS question and what was decided',
    properties: {
      kind: { const: 'dns' },
      ...DECISION.properties,
      transport: { enum: ['udp', 'tcp'] },
      name: TEXT,
      type: { type: 'string', description: 'mnemonic, else TYPE123' },
      rcode: TEXT,
      answer: TEXTS,
      count: FLOOD,
      process: PROCESS,
    },
    optional: { ...DECISION.optional, answer: true, count: true, process: true },
  },
  connection: {
    description: 'one connection or plain HTTP request, written before anything is dialled',
    properties: {
      kind: { const: 'connection' },
      ...DECISION.properties,
      connection: COUNT,
      via: { enum: ['forward', 'connect', 'socks', 'transparent'] },
      host: TEXT,
      port: PORT,
      protocol: { anyOf: [{ type: 'null' }, { enum: ['http', 'https', 'tcp'] }] },
      method: TEXT,
      path: { type: 'string', description: 'without its query' },
      address: { type: 'string', description: 'the first vetted address' },
      sni: TEXT,
      alpn: TEXTS,
      destination: { type: 'string', description: 'original destination of a transparent stream' },
      count: FLOOD,
      process: PROCESS,
    },
    optional: {
      ...DECISION.optional,
      method: true,
      path: true,
      address: true,
      sni: true,
      alpn: true,
      destination: true,
      count: true,
      process: true,
    },
  },
  close: {
    description: 'the end of a connection that was forwarded, out of the guest or into it',
    properties: {
      kind: { const: 'close' },
      connection: COUNT,
      host: TEXT,
      port: PORT,
      bytesOut: COUNT,
      bytesIn: COUNT,
      durationMs: COUNT,
      reason: { ...REASON, description: 'why it ended, where not by the peers themselves' },
      status: { type: 'integer', minimum: 100, maximum: 999 },
      address: { type: 'string', description: 'the address that was connected to' },
      detail: {
        type: 'string',
        description: 'what went wrong with the upstream, or which limit of time was reached',
      },
    },
    optional: { reason: true, status: true, address: true, detail: true },
  },
  inbound: {
    description: 'somebody on the host came to a published port, written before a byte passes',
    properties: {
      kind: { const: 'inbound' },
      connection: COUNT,
      peer: { type: 'string', description: 'address and port of who came' },
      address: { type: 'string', description: 'where it came to on the host' },
      port: PORT,
      guestPort: PORT,
      disposition: { enum: ['forwarded', 'refused'] },
      reason: { ...REASON, description: 'why it was refused' },
      detail: TEXT,
      count: FLOOD,
    },
    optional: { reason: true, detail: true, count: true },
  },
  unplanted: {
    description: 'attempts on a port that nothing listens on, told after the fact',
    properties: {
      kind: { const: 'unplanted' },
      ...DECISION.properties,
      transport: { enum: ['tcp', 'udp', 'icmp', 'other'] },
      host: TEXT,
      port: PORT,
      count: COUNT,
    },
    optional: DECISION.optional,
  },
  phase: {
    description: 'a guest begins a later phase of its policy',
    properties: {
      kind: { const: 'phase' },
      phase: TEXT,
      number: ORDINAL,
      policy: { type: 'string', description: 'digest of what holds in it' },
      by: { enum: ['command', 'control'] },
    },
    optional: {},
  },
  exec: {
    description: 'another command begins in a guest that runs',
    properties: {
      kind: { const: 'exec' },
      exec: { ...ORDINAL, description: 'which one of the run' },
      command: { type: 'array', items: TEXT, description: 'secret-looking values replaced' },
    },
    optional: {},
  },
  'exec-end': {
    description: 'the end of such a command; none where it ended with the guest',
    properties: {
      kind: { const: 'exec-end' },
      exec: ORDINAL,
      exitCode: { type: 'integer' },
      durationMs: COUNT,
    },
    optional: {},
  },
  answer: {
    description: 'somebody, or silence, has answered for a request that no rule decides',
    properties: {
      kind: { const: 'answer' },
      host: TEXT,
      port: { anyOf: [{ type: 'null' }, PORT], description: 'null for a name that was looked up' },
      protocol: { anyOf: [{ type: 'null' }, { enum: ['http', 'https', 'tcp'] }] },
      answer: { enum: ['once', 'run', 'write', 'deny', 'never'] },
      by: { enum: ['terminal', 'control', 'silence'] },
      rule: { type: 'string', description: 'id of the rule that a yes is' },
      policy: { type: 'string', description: 'digest of the policy from then on' },
      waiting: COUNT,
      waitedMs: COUNT,
    },
    optional: {},
  },
  notice: {
    description: 'something that no single request shows',
    properties: {
      kind: { const: 'notice' },
      code: TEXT,
      detail: TEXT,
      at: {
        type: 'object',
        properties: { file: TEXT, line: COUNT, column: COUNT },
        required: ['file', 'line', 'column'],
      },
    },
    optional: { at: true },
  },
  'run-end': {
    description: 'the last line, the seal',
    properties: {
      kind: { const: 'run-end' },
      exitCode: { type: 'integer' },
      cause: { enum: ['exit', 'signal', 'timeout', 'stop', 'error', 'probe'] },
      durationMs: COUNT,
      events: { ...COUNT, description: 'lines before this one' },
      totals: TOTALS,
      signature: { type: 'string', description: 'Ed25519, base64, over this line with an empty signature' },
    },
    optional: { totals: true, signature: true },
  },
};

function lineSchemaOf(kind: Kind): JsonSchema {
  const { properties, optional, description } = KINDS[kind];
  return objectSchema<Record<string, unknown>>(
    { properties: { ...FRAME.properties, ...properties }, optional },
    description,
  );
}

function kinds(): readonly Kind[] {
  return Object.keys(KINDS) as Kind[];
}

/** A JSON Schema (2020-12) of one line. Later versions may add fields, so unknown ones are allowed. */
export function auditLineSchema(): Readonly<Record<string, unknown>> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `urn:sand:audit-line:${AUDIT_SCHEMA_VERSION}`,
    title: 'one line of a sand audit log',
    oneOf: kinds().map(lineSchemaOf),
  };
}

const CHECKS: ReadonlyMap<unknown, Check> = new Map(
  kinds().map((kind) => [kind, compileCheck(lineSchemaOf(kind))] as const),
);

export type CheckedEvent =
  | { readonly ok: true; readonly event: AuditEvent }
  | { readonly ok: false; readonly detail: string };

/** Takes any JSON value. */
export function checkAuditEvent(value: unknown): CheckedEvent {
  if (typeof value !== 'object' || value === null || !('kind' in value)) {
    return { ok: false, detail: 'not an object with a kind' };
  }
  const check = CHECKS.get(value.kind);
  if (check === undefined) return { ok: false, detail: 'kind: none of the known values' };
  const detail = check(value, '');
  // The check covers every field of the type, so the cast holds.
  return detail === null ? { ok: true, event: value as AuditEvent } : { ok: false, detail };
}
