/** Finds the host's lists of certificate authorities that a guest will see: the system's bundle, and those of JVMs. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isWithin, realPath } from '../../guest/file-state.ts';
import type { HostFiles } from './mounts.ts';
import type { AuthorityLists } from './trust.ts';

/** Where distributions keep the one file of all authorities, the first that exists counts. */
export const BUNDLES: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** Where distributions keep one list for all JVMs. */
export const JAVA_LISTS: readonly string[] = [
  '/etc/ssl/certs/java/cacerts',
  '/etc/pki/java/cacerts',
  '/var/lib/ca-certificates/java-cacerts',
];
/** Folders with a JVM in each of their folders. */
export const JVM_FOLDERS: readonly string[] = ['/usr/lib/jvm', '/usr/java', '/opt', '/opt/java'];
/** Likewise, in a home. */
const HOME_JVM_FOLDERS: readonly string[] = [
  '.sdkman/candidates/java',
  '.asdf/installs/java',
  '.local/share/mise/installs/java',
];
export const LIST_IN_JVM: readonly string[] = ['lib/security/cacerts', 'jre/lib/security/cacerts'];
/** More JVMs than anybody installs; each costs a mount of a few hundred kilobytes. */
export const MAX_JAVA_LISTS = 32;

/** Only what lies in the system's folders and toolchains: a workspace is the guest's own to write. */
export function readAuthorityLists(
  host: Pick<HostFiles, 'system' | 'toolchains'>,
  home: string,
  environment: Readonly<Record<string, string | undefined>>,
): AuthorityLists {
  const shown = [
    ...host.system.flatMap(({ path, link }) => (link === null ? [path] : [])),
    ...host.toolchains,
  ];
  const isShown = (path: string) => shown.some((folder) => isWithin(path, folder));
  const folders = [...JVM_FOLDERS, ...HOME_JVM_FOLDERS.map((name) => join(home, name))];
  const jvms = [...namedJvms(environment), ...folders.flatMap(foldersIn)];
  const lists = [...JAVA_LISTS, ...jvms.flatMap((jvm) => LIST_IN_JVM.map((name) => join(jvm, name)))];
  const found = lists.map(realPath).filter((path) => path !== null);
  return { system: readSystemBundle(), java: [...new Set(found.filter(isShown))].slice(0, MAX_JAVA_LISTS) };
}

function readSystemBundle(): AuthorityLists['system'] {
  for (const bundle of BUNDLES) {
    const path = realPath(bundle);
    if (path !== null) return { path, text: readFileSync(path, 'utf8') };
  }
  return null;
}

/** By JAVA_HOME, and by the `java` of PATH, which is a link to a JVM's bin/java. */
function namedJvms(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  const path = (environment.PATH ?? '').split(':').filter((folder) => folder.startsWith('/'));
  const launchers = path.map((folder) => realPath(join(folder, 'java'))).filter((java) => java !== null);
  const named = environment.JAVA_HOME ?? '';
  return [...(named.startsWith('/') ? [named] : []), ...launchers.map((java) => dirname(dirname(java)))];
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}
