/**
 * What makes a guest's tools trust further certificate authorities: the one table of variables, and the files
 * that they name. Pure but for reading the system's own bundle, which its caller hands in.
 */
import type { Mount } from './mounts.ts';
import type { SharePlan } from './shares.ts';

/** Variables whose file replaces the tool's own list, so that it must hold the system's authorities as well. */
export const REPLACING_VARIABLES: Readonly<Record<string, string>> = {
  SSL_CERT_FILE: 'OpenSSL, Go, Ruby, uv, wget where built with OpenSSL',
  CURL_CA_BUNDLE: 'curl, Python requests',
  REQUESTS_CA_BUNDLE: 'Python requests',
  PIP_CERT: 'pip',
  GIT_SSL_CAINFO: 'git',
  CARGO_HTTP_CAINFO: 'cargo',
  AWS_CA_BUNDLE: 'AWS command line and SDKs',
  HTTPLIB2_CA_CERTS: 'httplib2',
  GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: 'gRPC',
  NIX_SSL_CERT_FILE: 'Nix',
};

/** Variables whose file is added to the tool's own list. */
export const ADDING_VARIABLES: Readonly<Record<string, string>> = {
  NODE_EXTRA_CA_CERTS: 'node, npm, pnpm, yarn',
  DENO_CERT: 'deno',
};

const BUNDLE = '/run/sand/authorities.pem';
const ADDED = '/run/sand/added-authorities.pem';

/** `system`: path and text of the system's bundle, null where there is none. Later mounts win. */
export function planTrust(
  authorities: readonly string[],
  system: { readonly path: string; readonly text: string } | null,
): SharePlan {
  if (authorities.length === 0) return { mounts: [], environment: {} };
  const added = authorities.join('');
  const all = `${system === null ? '' : `${system.text.trimEnd()}\n`}${added}`;
  const mounts: readonly Mount[] = [
    { kind: 'data', target: BUNDLE, content: all },
    { kind: 'data', target: ADDED, content: added },
    // For what reads the system's bundle and knows no variable.
    ...(system === null ? [] : [{ kind: 'data', target: system.path, content: all } as const]),
  ];
  const environment = Object.fromEntries([
    ...Object.keys(REPLACING_VARIABLES).map((name) => [name, BUNDLE]),
    ...Object.keys(ADDING_VARIABLES).map((name) => [name, ADDED]),
  ]);
  return { mounts, environment };
}
