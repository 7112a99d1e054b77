/** Why an image could not be pulled: what the tool complained of → what it means and what to do. Pure. */
import { SandError } from '../../errors.ts';

interface Cause {
  readonly pattern: RegExp;
  error(reference: string, platform: string, said: string): SandError;
}

/** In this order: a registry that wants to know who asks often says that it knows no such image. */
const CAUSES: readonly Cause[] = [
  {
    pattern: /\b(401|403)\b|unauthori[sz]ed|authentication|access.{0,20}denied|\bdenied\b/i,
    error: (reference, _platform, said) => {
      const host = hostOf(reference);
      return missing(
        `${host} does not give ${reference} to whom it does not know (${said})`,
        `check the name, or sign in: container registry login ${host}`,
      );
    },
  },
  {
    pattern: /cannot parse|invalid reference|invalid image/i,
    error: (reference, _platform, said) =>
      new SandError('usage', `${reference} is no name of an image (${said})`, EXAMPLE),
  },
  {
    pattern: /platform|unsupported/i,
    error: (reference, platform) => withoutPlatform(reference, platform, []),
  },
  {
    pattern: /\b404\b|MANIFEST_UNKNOWN|NAME_UNKNOWN|not found/i,
    error: (reference, _platform, said) =>
      missing(
        `${hostOf(reference)} has no ${reference} (${said})`,
        'check its name and its tag; an image of this machine is brought in by `sand image import ./FILE.tar`',
      ),
  },
  {
    pattern:
      /NSURLError|offline|network|could ?n.?t connect|connect(ion)? (refused|reset|timed|timeout)|connectTimeout|time(d)?.?out|resolve|hostname|TLS|SSL|HTTPClientError|NIOConnectionError/i,
    error: (reference, _platform, said) =>
      missing(
        `${hostOf(reference)} was not reached for ${reference} (${said})`,
        'check this machine\u2019s own network: a pull goes past every policy and every proxy of sand\u2019s',
      ),
  },
];

const EXAMPLE = 'write for example docker.io/library/node:24';

/** `said`: one line of the tool's; empty where it said nothing. */
export function explainPull(said: string, reference: string, platform: string): SandError {
  const cause = CAUSES.find(({ pattern }) => pattern.test(said));
  if (cause !== undefined) return cause.error(reference, platform, said);
  return missing(
    `${reference} is not on this machine and could not be pulled${said === '' ? '' : ` (${said})`}`,
    `check its name, or try it by itself: container image pull ${reference}`,
  );
}

/** `has`: the platforms that are known to be there. */
export function withoutPlatform(reference: string, platform: string, has: readonly string[]): SandError {
  const other = has.includes('linux/amd64') || has.length === 0 ? 'linux/amd64' : has[0];
  return new SandError(
    'image-invalid',
    `${reference} has nothing for ${platform}${has.length === 0 ? '' : `, only for ${has.join(', ')}`}`,
    platform === other
      ? 'name another image'
      : `name another image, or say --platform ${other}: Rosetta translates its programs`,
  );
}

/** As the tool reads a reference: what holds no dot, no colon and is not localhost is no host. */
export function hostOf(reference: string): string {
  const [first = '', ...rest] = reference.split('/');
  return rest.length > 0 && (/[.:]/.test(first) || first === 'localhost') ? first : 'docker.io';
}

function missing(message: string, hint: string): SandError {
  return new SandError('image-missing', message, hint);
}
