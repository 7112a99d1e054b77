/**
 * The attack catalogue as data: reads `cases/*.yaml`, strictly, so that a misspelt key never means "nothing is
 * expected". How a case is run is decided by the runners beside this file.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';

const FOLDER = fileURLToPath(new URL('./cases/', import.meta.url));

const verdict = z.enum(['allow', 'deny']);
const partial = z.record(z.string(), z.unknown());
/** Named in the file's `policies`, or the text itself. */
const policy = z.string().min(1);

const facts = {
  id: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  what: z.string().min(1).max(120),
};

/** One question to the rules, or one text, without a socket. */
const engineCase = z.strictObject({
  ...facts,
  needs: z.literal('engine'),
  policy: policy.optional(),
  ceiling: policy.optional(),
  /** `PROTOCOL AUTHORITY`; the protocol may be `any`. */
  ask: z.string().optional(),
  /** What the name resolves to; an ordinary address unless told. */
  at: z.array(z.string()).optional(),
  /** Interface addresses of the host. */
  host: z.array(z.string()).optional(),
  /** A policy file: it must compile, or be refused with an issue that matches. */
  file: z.string().optional(),
  /** `TEXT * COUNT` pieces that make a long file. */
  build: z.array(z.tuple([z.string(), z.number()])).optional(),
  files: z.record(z.string(), z.string()).optional(),
  issue: z.string().optional(),
  /** An audit entry over a plain decision; `line` and `not` are patterns on its line in the log. */
  entry: partial.optional(),
  line: z.string().optional(),
  not: z.string().optional(),
  /** Bytes offered as a line of a log. */
  raw: z.string().optional(),
  verdict,
  reason: z.string().optional(),
  audit: z.array(partial).optional(),
});

const hello = z.strictObject({
  names: z.array(z.string()).optional(),
  alpn: z.array(z.string()).optional(),
  /** Extensions as `ID HEX`. */
  extra: z.array(z.string()).optional(),
  withoutExtensions: z.boolean().optional(),
  tail: z.string().optional(),
  /** Bytes of the message in each record, and bytes in each segment. */
  record: z.number().optional(),
  segment: z.number().optional(),
  /** The type byte of the record. */
  type: z.number().optional(),
});

const ask = z.strictObject({
  name: z.union([z.string(), z.array(z.string())]).optional(),
  type: z.union([z.string(), z.number()]).optional(),
  class: z.number().optional(),
  flags: z.number().optional(),
  edns: z.number().optional(),
  ednsVersion: z.number().optional(),
  counts: z.tuple([z.number(), z.number(), z.number(), z.number()]).optional(),
  tail: z.string().optional(),
  hex: z.string().optional(),
  over: z.enum(['udp', 'tcp']).optional(),
  as: z.enum(['guest', 'host']).optional(),
  rcode: z.string().optional(),
  /** Addresses in the answer, in order; patterns between slashes. */
  answer: z.array(z.string()).optional(),
  silent: z.boolean().optional(),
  /** How often it is asked. */
  times: z.number().optional(),
});

const step = z.union([
  z.strictObject({ to: z.string() }),
  z.strictObject({ connect: z.string() }),
  z.strictObject({ get: z.string() }),
  /** Lines of a head; each gets its CRLF, and an empty line follows. */
  z.strictObject({ http: z.string() }),
  z.strictObject({ send: z.string(), times: z.number().optional(), segment: z.number().optional() }),
  z.strictObject({ hex: z.string() }),
  /** A file below `test/fuzz/corpus`: what a real client said. */
  z.strictObject({ corpus: z.string(), segment: z.number().optional() }),
  z.strictObject({ hello }),
  z.strictObject({ socks: z.string() }),
  z.strictObject({ ask }),
  z.strictObject({ expect: z.string() }),
  z.strictObject({ origin: z.string() }),
  z.strictObject({ policy: z.string() }),
  z.strictObject({ lookups: z.record(z.string(), z.array(z.string())) }),
  z.strictObject({ log: z.literal('broken') }),
  z.strictObject({ half: z.literal('close') }),
  z.strictObject({ ended: z.enum(['end', 'reset']) }),
]);

const zoneAnswer = z.union([
  z.array(z.string()),
  z.strictObject({
    answers: z.array(z.string()).optional(),
    rcode: z.number().optional(),
    truncated: z.boolean().optional(),
    /** The answer section as bytes behind the question, and the count that the header claims. */
    raw: z.string().optional(),
    count: z.number().optional(),
    /** What is forged in a datagram that comes before the real one. */
    forge: z.enum(['id', 'question', 'query']).optional(),
    turns: z.array(z.array(z.string())).optional(),
    silent: z.boolean().optional(),
  }),
]);

/** Steps against a proxy, or against a proxy and a resolver together, over sockets on 127.0.0.1. */
const scenarioCase = z.strictObject({
  ...facts,
  needs: z.enum(['proxy', 'gateway']),
  policy: policy.optional(),
  lookups: z.record(z.string(), z.union([z.array(z.string()), z.literal('failed')])).optional(),
  meanings: z.record(z.string(), z.string()).optional(),
  own: z.boolean().optional(),
  limits: z.record(z.string(), z.number()).optional(),
  dnsLimits: z.record(z.string(), z.number()).optional(),
  zone: z.record(z.string(), zoneAnswer).optional(),
  /** `http` answers each head, `echo` repeats, `hold` says nothing; else what it says to the first bytes. */
  serves: z.string().optional(),
  steps: z.array(step).min(1),
  verdict,
  reason: z.string().optional(),
  status: z.number().optional(),
  alert: z.boolean().optional(),
  /** A refusal that comes behind something that was allowed. */
  reached: z.boolean().optional(),
  /** Patterns that nothing the origin got may match, and that it must. */
  unsent: z.string().optional(),
  sent: z.string().optional(),
  /** A pattern that nothing the client got may match. */
  untold: z.string().optional(),
  /** Names that the upstream must not have been asked for. */
  unasked: z.array(z.string()).optional(),
  audit: z.array(partial).optional(),
});

/** A shell command in a real guest. */
const guestCase = z.strictObject({
  ...facts,
  needs: z.literal('guest'),
  run: z.string(),
  /** A pattern on what it prints. */
  prints: z.string(),
  verdict,
  reason: z.string().optional(),
  audit: z.array(partial).optional(),
});

const catalogueCase = z.discriminatedUnion('needs', [engineCase, scenarioCase, guestCase]);
const catalogueFile = z.strictObject({
  about: z.string(),
  /** What a case of this file has where it says nothing. */
  defaults: partial.optional(),
  policies: z.record(z.string(), z.string()).optional(),
  cases: z.array(partial),
});

type Case = z.infer<typeof catalogueCase>;
export type EngineCase = Extract<Case, { needs: 'engine' }>;
export type ScenarioCase = Extract<Case, { needs: 'proxy' | 'gateway' }>;
export type GuestCase = Extract<Case, { needs: 'guest' }>;
export type Step = ScenarioCase['steps'][number];
export type ZoneAnswer = z.infer<typeof zoneAnswer>;
export type Ask = z.infer<typeof ask>;
export type HelloInput = z.infer<typeof hello>;

export interface Topic {
  readonly topic: string;
  readonly policies: Readonly<Record<string, string>>;
  readonly cases: readonly Case[];
}

export function readCatalogue(): readonly Topic[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map(readTopic);
}

function readTopic(name: string): Topic {
  const file = catalogueFile.parse(parse(readFileSync(join(FOLDER, name), 'utf8')));
  const cases = file.cases.map((given) => {
    const read = catalogueCase.safeParse({ ...file.defaults, ...given });
    if (!read.success) throw new Error(`${name}, ${String(given.id)}: ${z.prettifyError(read.error)}`);
    return read.data;
  });
  return { topic: name.replace(/\.yaml$/, ''), policies: file.policies ?? {}, cases };
}

/** Whether a value has all that a partial one names; text between slashes is a pattern. */
export function holds(partialValue: unknown, value: unknown): boolean {
  if (typeof partialValue === 'string' && /^\/.+\/$/s.test(partialValue)) {
    return typeof value === 'string' && new RegExp(partialValue.slice(1, -1)).test(value);
  }
  if (Array.isArray(partialValue)) {
    return (
      Array.isArray(value) &&
      value.length === partialValue.length &&
      partialValue.every((one, at) => holds(one, value[at]))
    );
  }
  if (typeof partialValue === 'object' && partialValue !== null) {
    if (typeof value !== 'object' || value === null) return false;
    const record = value as Readonly<Record<string, unknown>>;
    return Object.entries(partialValue).every(([key, one]) => holds(one, record[key]));
  }
  return Object.is(partialValue, value);
}
