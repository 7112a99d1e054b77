/**
 * A validator for the part of JSON Schema that sand's own schemas use, so that what an editor makes of them is
 * tested by their text. A keyword that it does not know is an error.
 */

type Schema = Readonly<Record<string, unknown>>;

const TELLS_NOTHING = ['$schema', 'title', 'description'];

export function isValid(schema: unknown, value: unknown): boolean {
  return Object.entries(schema as Schema).every(([keyword, wanted]) => {
    if (TELLS_NOTHING.includes(keyword)) return true;
    const check = KEYWORDS[keyword];
    if (check === undefined) throw new Error(`a keyword that is not known: ${keyword}`);
    return check(wanted, value, schema as Schema);
  });
}

const KEYWORDS: Readonly<Record<string, (wanted: unknown, value: unknown, schema: Schema) => boolean>> = {
  type: (wanted, value) => [wanted].flat().some((one) => typeOf(value, one) === one),
  const: (wanted, value) => value === wanted,
  enum: (wanted, value) => (wanted as unknown[]).includes(value),
  anyOf: (wanted, value) => (wanted as unknown[]).some((one) => isValid(one, value)),
  minimum: (wanted, value) => typeof value !== 'number' || value >= Number(wanted),
  maximum: (wanted, value) => typeof value !== 'number' || value <= Number(wanted),
  minLength: (wanted, value) => typeof value !== 'string' || [...value].length >= Number(wanted),
  maxLength: (wanted, value) => typeof value !== 'string' || [...value].length <= Number(wanted),
  pattern: (wanted, value) => typeof value !== 'string' || new RegExp(String(wanted), 'u').test(value),
  minItems: (wanted, value) => !Array.isArray(value) || value.length >= Number(wanted),
  maxItems: (wanted, value) => !Array.isArray(value) || value.length <= Number(wanted),
  items: (wanted, value) => !Array.isArray(value) || value.every((one) => isValid(wanted, one)),
  required: (wanted, value) =>
    !isMap(value) || (wanted as string[]).every((key) => Object.hasOwn(value, key)),
  minProperties: (wanted, value) => !isMap(value) || Object.keys(value).length >= Number(wanted),
  maxProperties: (wanted, value) => !isMap(value) || Object.keys(value).length <= Number(wanted),
  propertyNames: (wanted, value) => !isMap(value) || Object.keys(value).every((key) => isValid(wanted, key)),
  properties: (wanted, value) =>
    !isMap(value) ||
    Object.entries(wanted as Schema).every(
      ([key, one]) => !Object.hasOwn(value, key) || isValid(one, value[key]),
    ),
  additionalProperties: (wanted, value, { properties }) => {
    if (!isMap(value)) return true;
    const others = Object.keys(value).filter((key) => !Object.hasOwn((properties ?? {}) as Schema, key));
    return wanted === false ? others.length === 0 : others.every((key) => isValid(wanted, value[key]));
  },
};

function typeOf(value: unknown, wanted: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (Number.isInteger(value) && wanted === 'integer') return 'integer';
  return typeof value;
}

function isMap(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
