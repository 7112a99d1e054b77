/** Files that a guest is given when it starts, written by the relay into the guest's own file system: no disk of the host has them. */
import { planAuthorities } from '../../guest/tools.ts';
import { getArguments, putArguments, tmpfsArguments } from '../../links/relay/relay-program.ts';
import type { GuestSpec } from '../backend.ts';
import { askRelay, callRelay } from './in-guest.ts';

const SECRETS = '/run/secrets';

/** Where distributions keep the one file of all authorities, the first that exists counts. */
const BUNDLES: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
const JAVA_LISTS: readonly string[] = [
  '/etc/ssl/certs/java/cacerts',
  '/etc/pki/java/cacerts',
  '/var/lib/ca-certificates/java-cacerts',
];

/** In memory, for the guest's user alone. */
export async function placeSecrets(
  container: string,
  secrets: NonNullable<GuestSpec['secrets']>,
  user: string,
): Promise<void> {
  if (secrets.length === 0) return;
  await callRelay({ container, words: tmpfsArguments({ path: SECRETS, mode: 0o700, user }) });
  for (const { name, content } of secrets) await put(container, `${SECRETS}/${name}`, 0o400, user, content);
}

/** At places of their own, and over the system's list and a JVM's, for what reads those and knows no variable. */
export async function placeAuthorities(
  container: string,
  added: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  if (added.length === 0) return;
  const system = await firstThere(container, BUNDLES);
  const { files, bundle, javaStore } = planAuthorities(added, system?.text ?? null);
  for (const { path, content } of files) await put(container, path, 0o444, '', Buffer.from(content));
  if (system !== null) await put(container, system.path, 0o644, '', Buffer.from(bundle));
  const home = environment.JAVA_HOME;
  const lists = [...JAVA_LISTS, ...(home === undefined ? [] : [`${home}/lib/security/cacerts`])];
  const java = await firstThere(container, lists);
  if (java !== null) await put(container, java.path, 0o644, '', javaStore);
}

async function firstThere(
  container: string,
  paths: readonly string[],
): Promise<{ readonly path: string; readonly text: string } | null> {
  for (const path of paths) {
    const output = await askRelay({ container, words: getArguments(path) });
    if (output.exitCode === 0) return { path, text: output.stdout };
  }
  return null;
}

async function put(
  container: string,
  path: string,
  mode: number,
  user: string,
  content: Buffer,
): Promise<void> {
  await callRelay({ container, words: putArguments({ path, mode, user }), input: content });
}
