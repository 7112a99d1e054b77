/**
 * The shape of a `sand.baseline.json` as a JSON Schema for editors. What decides is `baseline-text.ts`, which says more
 * about a mistake; a test holds the two together.
 */
import { REASONS } from '../../policies/reasons.ts';
import { BASELINE_VERSION } from './baseline.ts';
import { PROTOCOLS } from './baseline-text.ts';
import { CI_LIMITS } from './limits.ts';
import { MAGNITUDES } from './magnitude.ts';

const host = { type: 'string', minLength: 1, maxLength: CI_LIMITS.hostCharacters } as const;
const port = { type: 'integer', minimum: 0, maximum: 65_535 } as const;
const protocol = { enum: [...PROTOCOLS] };
const magnitude = { enum: [...MAGNITUDES] };

const closed = (properties: object) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const list = (items: object, description: string) => ({
  type: 'array',
  items,
  maxItems: CI_LIMITS.baselineEntries,
  description,
});

/** JSON Schema (2020-12) for editors. */
export function baselineJsonSchema(): unknown {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'sand baseline',
    description: 'What a run is known to use of the network, as sand ci --update-baseline writes it.',
    ...closed({
      version: { const: BASELINE_VERSION },
      hosts: list(
        closed({
          host: { ...host, description: 'A name, an address, or a pattern for names that change.' },
          port,
          protocol,
          rules: {
            type: 'array',
            items: { type: 'string', minLength: 1, maxLength: CI_LIMITS.ruleCharacters },
            maxItems: CI_LIMITS.baselineRules,
            description: 'Ids of the rules that allowed it.',
          },
          bytesOut: { ...magnitude, description: 'Order of magnitude of what was sent.' },
          bytesIn: { ...magnitude, description: 'Order of magnitude of what was received.' },
        }),
        'What was used.',
      ),
      denied: list(
        closed({
          host,
          port: { anyOf: [port, { type: 'null' }], description: 'Null for a name that was only looked up.' },
          protocol,
          reason: { enum: Object.keys(REASONS) },
        }),
        'What was denied and is known to be.',
      ),
    }),
  };
}
