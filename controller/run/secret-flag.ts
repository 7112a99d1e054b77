/**
 * The values of `--secret`: text → typed flags, every mistake with what to write instead. Pure; what they name is read by
 * `secret-reading.ts`.
 */
import { SandError } from '../errors.ts';

/** A secret that the guest gets as the file `/run/secrets/NAME`. */
export interface SecretFlag {
  readonly name: string;
  readonly source:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'variable'; readonly name: string };
}

/** Each is a descriptor while the guest comes up; a project has a handful. */
const SECRETS = 64;

const HINT = 'write --secret NAME=FILE, or --secret NAME=env:VARIABLE';
/** A name of a file: no path, nothing hidden, nothing that a shell reads otherwise. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const VARIABLE_SOURCE = 'env:';

/** Every `--secret`, in order. Raises `usage`, and repeats nothing but names. */
export function parseSecretFlags(texts: readonly string[]): readonly SecretFlag[] {
  if (texts.length > SECRETS)
    throw usage(`--secret is given ${texts.length} times`, `give it at most ${SECRETS} times`);
  const flags = texts.map(parseSecretFlag);
  const twice = flags.find(({ name }, at) => flags.findIndex((other) => other.name === name) < at);
  if (twice !== undefined)
    throw usage(`--secret names ${twice.name} twice`, 'give each secret a name of its own');
  return flags;
}

export function parseSecretFlag(text: string): SecretFlag {
  const equals = text.indexOf('=');
  // Without a name it may be the secret itself that stands there: it is not repeated.
  if (equals < 0) throw usage('--secret has no =', HINT);
  const name = text.slice(0, equals);
  const source = text.slice(equals + 1);
  if (!NAME.test(name)) {
    throw usage(
      `--secret: ${JSON.stringify(name)} is no name of a secret`,
      'write letters, digits, _, - and dots, at most 128, beginning with none of the last two',
    );
  }
  if (source === '') throw usage(`--secret ${name}= names no source`, HINT);
  if (source.includes('\0')) throw usage(`--secret ${name}: the source holds a NUL`, HINT);
  if (!source.startsWith(VARIABLE_SOURCE)) return { name, source: { kind: 'file', path: source } };
  const variable = source.slice(VARIABLE_SOURCE.length);
  if (!VARIABLE.test(variable)) {
    throw usage(
      `--secret ${name}: what follows env: is no variable name`,
      `write --secret ${name}=env:VARIABLE; a file of that name is ./env:FILE`,
    );
  }
  return { name, source: { kind: 'variable', name: variable } };
}

function usage(message: string, hint: string): SandError {
  return new SandError('usage', message, hint);
}
