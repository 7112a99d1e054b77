/**
 * The shape of a policy document as a schema, from which the JSON Schema for editors is made. What decides at
 * run time is `decode.ts`, which says more about a mistake and starts faster; a test holds the two together.
 */
import { z } from 'zod';
import { LIMIT_KEYS, type LimitKey, RULE_LIMIT_KEYS } from './guest-limits.ts';
import { POLICY_LIMITS } from './limits.ts';
import { ISOLATIONS } from './requirements.ts';

const text = z.string().min(1);
const oneOrMore = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1)]);

const port = z.union([z.int().min(1).max(65_535), z.string().regex(/^[1-9]\d{0,4}(-[1-9]\d{0,4})?$/)]);
const ports = oneOrMore(port);
const subjects = oneOrMore(text).describe(
  'Host patterns, addresses, ranges or host.sand. Quote what begins with "*".',
);
const because = z
  .string()
  .min(1)
  .max(POLICY_LIMITS.becauseCharacters)
  .describe('One line: why this rule stands here. It goes into the audit log.');

/** A unit's number has no bounds here: what 3GiB is, a schema cannot say. */
function limit({ unit, least, most }: LimitKey): z.ZodType {
  if (unit === 'time') return z.string().regex(/^[1-9]\d{0,6}(s|m|h)$/);
  const number = z.int().min(least).max(most);
  return unit === 'count' ? number : z.union([number, z.string().regex(/^[1-9]\d{0,14}(KiB|MiB|GiB)$/)]);
}

const limits = (keys: readonly LimitKey[]) =>
  z.strictObject(Object.fromEntries(keys.map((key) => [key.key, limit(key).optional()])));

const http = ports.describe('Ports for plain HTTP. Naming any port replaces http 80 and https 443.');
const anyAllowRule = {
  allow: subjects,
  addresses: oneOrMore(text)
    .describe('Ranges that the name may resolve to; nothing else, and these even if private.')
    .optional(),
  metadata: z.literal(true).describe('Opens the cloud metadata address that allow names exactly.').optional(),
  until: z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})$/)
    .describe('From then on the rule grants nothing.')
    .optional(),
  limits: limits(RULE_LIMIT_KEYS)
    .refine((stated) => Object.keys(stated).length > 0)
    .meta({ minProperties: 1 })
    .describe('What all that this rule covers may use together.')
    .optional(),
  because: because.optional(),
};
const allowRule = z.strictObject({
  ...anyAllowRule,
  http: http.optional(),
  https: ports.describe('Ports for TLS to the named host.').optional(),
  tcp: ports.describe('Ports for bytes that sand does not read.').optional(),
});
const allowRequestsRule = z.strictObject({
  ...anyAllowRule,
  http: http.describe('Ports for plain HTTP, the only ones beside methods and paths.'),
  methods: oneOrMore(z.string().regex(/^[A-Z][A-Z0-9-]{0,31}$/))
    .describe('Methods of plain HTTP.')
    .optional(),
  paths: oneOrMore(z.string().regex(/^\//).max(POLICY_LIMITS.pathCharacters))
    .describe('Patterns over the paths of plain HTTP: * in a segment, ** for any number of segments.')
    .optional(),
});
const denyRule = z.strictObject({
  deny: subjects,
  report: z.literal(true).describe('Refuses nothing: records what it would deny.').optional(),
  because: because.optional(),
});
const muteRule = z.strictObject({ mute: subjects, because: because.optional() });

const rules = z.array(z.union([allowRule, allowRequestsRule, denyRule, muteRule])).max(POLICY_LIMITS.rules);

const policyDocument = z
  .strictObject({
    version: z.literal(1),
    name: z
      .string()
      .max(POLICY_LIMITS.nameCharacters)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/)
      .optional(),
    extends: z
      .union([text, z.array(text)])
      .describe('Presets, group:NAME, or files.')
      .optional(),
    mode: z.enum(['enforce', 'report']).optional(),
    rules: rules.optional(),
    phases: z
      .record(
        z
          .string()
          .max(POLICY_LIMITS.nameCharacters)
          .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/),
        z.strictObject({ rules: rules.optional() }),
      )
      .refine((named) => Object.keys(named).length > 0 && Object.keys(named).length <= POLICY_LIMITS.phases)
      .meta({ minProperties: 1, maxProperties: POLICY_LIMITS.phases })
      .describe('Rules that hold in one phase of a guest only, besides those that hold in all.')
      .optional(),
    requires: z
      .strictObject({
        confinement: z.literal('enforced').optional(),
        isolation: z
          .enum(ISOLATIONS)
          .describe(
            'What stands between the guest and the host, at least; from the weakest to the strongest.',
          )
          .optional(),
      })
      .describe('What a guest must offer; the strictest of all layers holds.')
      .optional(),
    limits: limits(LIMIT_KEYS)
      .describe('What the guest may use; the strictest of all layers holds.')
      .optional(),
  })
  .meta({ title: 'sand egress policy', description: 'What a guest of sand may reach.' });

/** Whether plain data has the shape of a policy document; says nothing about the names and ranges in it. */
export function hasPolicyShape(data: unknown): boolean {
  return policyDocument.safeParse(data).success;
}

/** JSON Schema (2020-12) for editors. */
export function policyJsonSchema(): unknown {
  return z.toJSONSchema(policyDocument, { io: 'input' });
}
