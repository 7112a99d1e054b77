/**
 * The paths inside the texts of `policy`, `image` and `secrets`, which are handed on as text to their own parsers: which there
 * are, and the same text with them absolute, since a file's paths are relative to its folder. Pure.
 */
import { resolve } from 'node:path';
import { isFileName } from '../../policies/layer.ts';

/** Presets and groups are no paths. */
export function absolutePolicy(text: string, folder: string): string {
  return isFileName(text) ? resolve(folder, text) : text;
}

/** Whether the text of `image` is a path and no reference. */
export function isPath(text: string): boolean {
  return /^[/.]/.test(text);
}

/** A kind of image before its path, as `oci-archive:./node.tar`. */
const PREFIXED = /^((?:oci|oci-archive|docker-archive):)(.+)$/;

export function absoluteImage(text: string, folder: string): string {
  if (isPath(text)) return resolve(folder, text);
  const [, prefix, path] = PREFIXED.exec(text) ?? [];
  return prefix === undefined || path === undefined ? text : `${prefix}${resolve(folder, path)}`;
}

export interface SecretText {
  readonly name: string;
  /** Null: a variable of the caller's. */
  readonly path: string | null;
  readonly source: string;
}

/** `NAME=FILE` or `NAME=env:VARIABLE`; null for what is neither, which may be the secret itself. */
export function readSecretText(text: string): SecretText | null {
  const [, name, source] = /^([A-Za-z0-9_][A-Za-z0-9._-]*)=(.+)$/.exec(text) ?? [];
  if (name === undefined || source === undefined) return null;
  return { name, source, path: source.startsWith('env:') ? null : source };
}

export function absoluteSecret(text: string, folder: string): string {
  const secret = readSecretText(text);
  return secret === null || secret.path === null ? text : `${secret.name}=${resolve(folder, secret.path)}`;
}
