/**
 * An image's configuration: JSON text of anybody's making → what of it holds for a guest. Every value is
 * checked here, once; what does not read is refused and named. Pure.
 */
import { SandError } from '../errors.ts';
import { IMAGE_LIMITS } from './limits.ts';

export interface ImageConfig {
  /** `USER[:GROUP]`, names or numbers; empty: root. */
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Absolute and normal; null where the image names none. */
  readonly workdir: string | null;
}

/** A folder as an image says nothing of how it is run. */
export const NO_CONFIG: ImageConfig = { user: '', environment: {}, entrypoint: [], cmd: [], workdir: null };

/** System and processor, as the image specification names them. */
export type ImagePlatform = 'linux/amd64' | 'linux/arm64';

/** Raises `image-invalid`. The form is that of the OCI image specification, application/vnd.oci.image.config.v1+json. */
export function parseImageConfig(text: string, platform: ImagePlatform): ImageConfig {
  if (Buffer.byteLength(text) > IMAGE_LIMITS.configBytes) throw invalid('the configuration is too long');
  const whole = record(parseJson(text), 'the configuration');
  requirePlatform(whole, platform);
  const config = whole.config === undefined || whole.config === null ? {} : record(whole.config, 'config');
  return {
    user: parseUser(config.User),
    environment: parseEnvironment(config.Env),
    entrypoint: words(config.Entrypoint, 'Entrypoint'),
    cmd: words(config.Cmd, 'Cmd'),
    workdir: parseWorkdir(config.WorkingDir),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('the configuration is no JSON');
  }
}

function requirePlatform(whole: Readonly<Record<string, unknown>>, platform: ImagePlatform): void {
  const { os, architecture } = whole;
  const [system, processor] = platform.split('/');
  if ((os ?? system) === system && (architecture ?? processor) === processor) return;
  throw invalid(`it is for ${show(os)} on ${show(architecture)}, and this machine is ${platform}`);
}

function parseUser(value: unknown): string {
  const user = word(value ?? '', 'User');
  if (user.length > 256 || !/^[^\s:]*(:[^\s:]+)?$/.test(user))
    throw invalid(`User ${show(user)} does not read as USER[:GROUP]`);
  return user;
}

function parseEnvironment(value: unknown): Readonly<Record<string, string>> {
  const pairs = words(value, 'Env').map((text): readonly [string, string] => {
    const equals = text.indexOf('=');
    // A shell takes some other names for functions, and the one that starts commands would run them.
    if (!/^[A-Za-z0-9_.-]+=/.test(text)) throw invalid(`Env ${show(text)} does not read as NAME=VALUE`);
    return [text.slice(0, equals), text.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}

function parseWorkdir(value: unknown): string | null {
  const path = word(value ?? '', 'WorkingDir');
  if (path === '') return null;
  if (!isPlainPath(path)) throw invalid(`WorkingDir ${show(path)} is no plain absolute path`);
  return path.replace(/(?<=.)\/+$/, '');
}

/** Absolute, without `..`, control characters or more than the kernel takes. */
export function isPlainPath(path: string): boolean {
  const isShort = Buffer.byteLength(path) < IMAGE_LIMITS.pathBytes;
  return (
    isShort &&
    /^\/[^\u0000-\u001f\u007f]*$/.test(path) &&
    !path.split('/').some((part) => part === '..' || part === '.')
  );
}

function words(value: unknown, name: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > IMAGE_LIMITS.words)
    throw invalid(`${name} is no list of words`);
  return value.map((item: unknown) => word(item, name));
}

function word(value: unknown, name: string): string {
  if (typeof value !== 'string' || value.includes('\0') || Buffer.byteLength(value) > IMAGE_LIMITS.wordBytes)
    throw invalid(`${name} holds what is no text: ${show(value)}`);
  return value;
}

function record(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${name} is no object`);
  return value as Readonly<Record<string, unknown>>;
}

const SHOWN = 80;

function show(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, SHOWN);
}

export function invalid(why: string): SandError {
  return new SandError(
    'image-invalid',
    `the image cannot be used: ${why}`,
    'have it built anew, or unpack it yourself and name the folder',
  );
}
