/**
 * The subset of JSON Schema (2020-12) that the audit schema is written in, and a checker for it. One source
 * for what is published and for what the reader accepts. Pure.
 */

export type JsonSchema =
  | { readonly type: 'string'; readonly pattern?: string; readonly description?: string }
  | {
      readonly type: 'integer';
      readonly minimum?: number;
      readonly maximum?: number;
      readonly description?: string;
    }
  | { readonly type: 'boolean'; readonly description?: string }
  | { readonly type: 'null'; readonly description?: string }
  | { readonly type: 'array'; readonly items: JsonSchema; readonly description?: string }
  | {
      readonly type: 'object';
      readonly properties: Readonly<Record<string, JsonSchema>>;
      readonly required: readonly string[];
      readonly description?: string;
    }
  | { readonly const: string | number; readonly description?: string }
  | { readonly enum: readonly string[]; readonly description?: string }
  | { readonly anyOf: readonly JsonSchema[]; readonly description?: string };

/** Null when the value fits, else where and why it does not. Properties that the schema does not name are let be. */
export type Check = (value: unknown, at: string) => string | null;

/** Builds the checker once; checking a value allocates nothing while it fits. */
export function compileCheck(schema: JsonSchema): Check {
  if ('const' in schema) return compileChoice([schema.const]);
  if ('enum' in schema) return compileChoice(schema.enum);
  if ('anyOf' in schema) return compileAny(schema.anyOf);
  switch (schema.type) {
    case 'string':
      return compileString(schema.pattern);
    case 'integer':
      return compileInteger(schema.minimum ?? -Infinity, schema.maximum ?? Infinity);
    case 'boolean':
      return (value, at) => (typeof value === 'boolean' ? null : `${at}: not true or false`);
    case 'null':
      return (value, at) => (value === null ? null : `${at}: not null`);
    case 'array':
      return compileArray(schema.items);
    case 'object':
      return compileObject(schema.properties, schema.required);
  }
}

function compileChoice(choices: readonly (string | number)[]): Check {
  const known = new Set<unknown>(choices);
  return (value, at) => (known.has(value) ? null : `${at}: none of the known values`);
}

function compileAny(schemas: readonly JsonSchema[]): Check {
  const checks = schemas.map(compileCheck);
  return (value, at) => {
    let problem: string | null = null;
    for (const check of checks) {
      problem = check(value, at);
      if (problem === null) return null;
    }
    return problem;
  };
}

function compileString(pattern: string | undefined): Check {
  const expression = pattern === undefined ? null : new RegExp(pattern, 'u');
  return (value, at) => {
    if (typeof value !== 'string') return `${at}: not a string`;
    return expression === null || expression.test(value) ? null : `${at}: not of the form ${pattern}`;
  };
}

function compileInteger(minimum: number, maximum: number): Check {
  return (value, at) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) return `${at}: not a whole number`;
    return value >= minimum && value <= maximum ? null : `${at}: out of range`;
  };
}

function compileArray(items: JsonSchema): Check {
  const check = compileCheck(items);
  return (value, at) => {
    if (!Array.isArray(value)) return `${at}: not a list`;
    for (const item of value) {
      const problem = check(item, at);
      if (problem !== null) return problem;
    }
    return null;
  };
}

function compileObject(properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): Check {
  const checks = Object.entries(properties).map(
    ([name, schema]) => [name, compileCheck(schema), required.includes(name)] as const,
  );
  return (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${at}: not an object`;
    for (const [name, check, isRequired] of checks) {
      const where = at === '' ? name : `${at}.${name}`;
      if (!Object.hasOwn(value, name)) {
        if (isRequired) return `${where}: missing`;
        continue;
      }
      const problem = check((value as Record<string, unknown>)[name], where);
      if (problem !== null) return problem;
    }
    return null;
  };
}
