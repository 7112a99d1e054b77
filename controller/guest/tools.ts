/**
 * The one table of how a guest's tools learn the proxy and the authorities that `--trust-ca` names, and from it
 * the variables and small files of a guest. Pure; which of the host's or image's own lists are replaced besides
 * is for each backend.
 */
import { encodeJavaStore } from './java-store.ts';

/** What finds the proxy, and what it holds. Nothing depends on it: it makes refusals easier to read. */
const PROXY_VARIABLES = {
  http_proxy: 'proxy',
  https_proxy: 'proxy',
  all_proxy: 'proxy',
  no_proxy: 'loopback',
  HTTP_PROXY: 'proxy',
  HTTPS_PROXY: 'proxy',
  ALL_PROXY: 'proxy',
  NO_PROXY: 'loopback',
  NODE_USE_ENV_PROXY: 'on',
  YARN_HTTPS_PROXY: 'proxy',
} as const;

/** `all`: the file replaces the tool's own list, so it holds the system's as well. `added`: it adds to that list. */
const AUTHORITY_VARIABLES = {
  SSL_CERT_FILE: 'all',
  CURL_CA_BUNDLE: 'all',
  REQUESTS_CA_BUNDLE: 'all',
  PIP_CERT: 'all',
  GIT_SSL_CAINFO: 'all',
  CARGO_HTTP_CAINFO: 'all',
  AWS_CA_BUNDLE: 'all',
  HTTPLIB2_CA_CERTS: 'all',
  GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: 'all',
  NIX_SSL_CERT_FILE: 'all',
  NODE_EXTRA_CA_CERTS: 'added',
  DENO_CERT: 'added',
} as const;

type ProxyVariable = keyof typeof PROXY_VARIABLES;
/** `system`: the system's bundle, replaced where it lies. `java`: the JVM's own list, likewise. */
type AuthoritySource = keyof typeof AUTHORITY_VARIABLES | 'system' | 'java';

export interface Tool {
  readonly name: string;
  /** What it reads of what is set; none: it just connects, and meets the gateway there. */
  readonly proxy: readonly ProxyVariable[];
  readonly authorities: readonly AuthoritySource[];
  /** Whether a test runs it in a guest, where it is installed; else the row is as its documentation says. */
  readonly tried: boolean;
  /** What to know, and why nothing more is set. */
  readonly remark: string;
}

const EITHER = ['https_proxy', 'HTTPS_PROXY'] as const;

export const TOOLS = [
  {
    name: 'curl',
    proxy: ['http_proxy', ...EITHER, 'all_proxy'],
    authorities: ['CURL_CA_BUNDLE', 'SSL_CERT_FILE'],
    tried: true,
    remark: 'for http it reads the lower case only',
  },
  {
    name: 'wget',
    proxy: ['http_proxy', 'https_proxy'],
    authorities: ['system'],
    tried: true,
    remark: 'reads the lower case only',
  },
  {
    name: 'git',
    proxy: ['http_proxy', ...EITHER, 'all_proxy'],
    authorities: ['GIT_SSL_CAINFO'],
    tried: true,
    remark: 'for https remotes; ssh remotes go without the proxy',
  },
  {
    name: 'npm',
    proxy: EITHER,
    authorities: ['NODE_EXTRA_CA_CERTS'],
    tried: true,
    remark: 'without the proxy it retries a denied name for more than a minute',
  },
  {
    name: 'pnpm',
    proxy: EITHER,
    authorities: ['NODE_EXTRA_CA_CERTS'],
    tried: true,
    remark:
      'retries a refusal for a minute and more; `fetchRetries: 0` in pnpm-workspace.yaml ends it at once',
  },
  {
    name: 'yarn 1',
    proxy: EITHER,
    authorities: ['NODE_EXTRA_CA_CERTS'],
    tried: true,
    remark: 'retries a refusal for 12 seconds, and ends with code 0',
  },
  {
    name: 'yarn 4',
    proxy: ['YARN_HTTPS_PROXY'],
    authorities: ['NODE_EXTRA_CA_CERTS'],
    tried: true,
    remark:
      'reads settings of its own, which know no exceptions: `YARN_HTTP_PROXY` is not set, so that a registry at http://localhost stays reachable',
  },
  {
    name: 'node fetch',
    proxy: [...EITHER, 'NODE_USE_ENV_PROXY'],
    authorities: ['NODE_EXTRA_CA_CERTS'],
    tried: true,
    remark: 'Node 24 reads the proxy; Node 20 just connects',
  },
  {
    name: 'deno',
    proxy: [...EITHER, 'all_proxy'],
    authorities: ['DENO_CERT', 'NODE_EXTRA_CA_CERTS'],
    tried: true,
    remark: '',
  },
  {
    name: 'python urllib',
    proxy: EITHER,
    authorities: ['SSL_CERT_FILE'],
    tried: true,
    remark: '',
  },
  {
    name: 'python requests',
    proxy: [...EITHER, 'all_proxy'],
    authorities: ['REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'],
    tried: true,
    remark: '',
  },
  {
    name: 'pip',
    proxy: [...EITHER, 'all_proxy'],
    authorities: ['PIP_CERT', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'],
    tried: true,
    remark:
      'names the refusal in its warning of a retry; with `--retries 0` it only says that there is no such package',
  },
  {
    name: 'uv',
    proxy: [...EITHER, 'all_proxy'],
    authorities: ['SSL_CERT_FILE'],
    tried: false,
    remark: '',
  },
  {
    name: 'cargo',
    proxy: [...EITHER, 'all_proxy'],
    authorities: ['CARGO_HTTP_CAINFO'],
    tried: true,
    remark: '',
  },
  {
    name: 'rustup',
    proxy: [...EITHER, 'all_proxy'],
    authorities: ['SSL_CERT_FILE'],
    tried: true,
    remark: '',
  },
  {
    name: 'go',
    proxy: EITHER,
    authorities: ['SSL_CERT_FILE'],
    tried: true,
    remark: '',
  },
  {
    name: 'java',
    proxy: [],
    authorities: ['java'],
    tried: true,
    remark:
      'reads no proxy variable; `JAVA_TOOL_OPTIONS` is not set, since every JVM then prints a line on stderr',
  },
  {
    name: 'maven',
    proxy: [],
    authorities: ['java'],
    tried: true,
    remark: 'as java; `MAVEN_OPTS` is left to the project',
  },
  {
    name: 'gradle',
    proxy: [],
    authorities: ['java'],
    tried: true,
    remark: 'as java; `GRADLE_OPTS` and gradle.properties are left to the project',
  },
  {
    name: 'gem',
    proxy: EITHER,
    authorities: ['SSL_CERT_FILE'],
    tried: true,
    remark: '',
  },
  {
    name: 'docker',
    proxy: EITHER,
    authorities: ['SSL_CERT_FILE'],
    tried: true,
    remark:
      'what the client fetches itself, such as manifests; a daemon elsewhere has a network of its own, where this proxy means nothing, so no `config.json` passes it on',
  },
  {
    name: 'apt',
    proxy: ['http_proxy', 'https_proxy'],
    authorities: ['system'],
    tried: true,
    remark: 'reads the lower case only; no `APT_CONFIG` is needed',
  },
  {
    name: 'AWS command line and SDKs',
    proxy: EITHER,
    authorities: ['AWS_CA_BUNDLE'],
    tried: false,
    remark: '',
  },
  {
    name: 'httplib2',
    proxy: EITHER,
    authorities: ['HTTPLIB2_CA_CERTS'],
    tried: false,
    remark: '',
  },
  {
    name: 'gRPC',
    proxy: ['https_proxy'],
    authorities: ['GRPC_DEFAULT_SSL_ROOTS_FILE_PATH'],
    tried: false,
    remark: '',
  },
  {
    name: 'Nix',
    proxy: EITHER,
    authorities: ['NIX_SSL_CERT_FILE'],
    tried: false,
    remark: '',
  },
] as const satisfies readonly Tool[];

/** Variables of certificate files, whoever set them. */
export const CERTIFICATE_VARIABLES: readonly string[] = [...Object.keys(AUTHORITY_VARIABLES), 'SSL_CERT_DIR'];

/** `proxy`: its URL, as the guest reaches it. */
export function planProxyVariables(proxy: string): Readonly<Record<string, string>> {
  const values = { proxy, loopback: 'localhost,127.0.0.1,::1', on: '1' };
  return mapValues(PROXY_VARIABLES, (holds) => values[holds]);
}

export interface GuestFile {
  readonly path: string;
  readonly content: string | Buffer;
}

export interface Authorities {
  readonly environment: Readonly<Record<string, string>>;
  /** To be placed in the guest, read-only. */
  readonly files: readonly GuestFile[];
  /** What stands in for the system's bundle (PEM) and for a JVM's list (a key store). */
  readonly bundle: string;
  readonly javaStore: Buffer;
}

const BUNDLE = '/run/sand/authorities.pem';
const ADDED = '/run/sand/added-authorities.pem';
/** For a JVM whose own list is not found, by `-Djavax.net.ssl.trustStore`. */
const JAVA_STORE = '/run/sand/authorities.jks';

/** `added`: PEM texts; `system`: the text of the system's bundle, null where there is none. */
export function planAuthorities(added: readonly string[], system: string | null): Authorities {
  const further = added.join('');
  const bundle = `${system === null ? '' : `${system.trimEnd()}\n`}${further}`;
  const javaStore = encodeJavaStore(bundle);
  const paths = { all: BUNDLE, added: ADDED };
  return {
    environment: mapValues(AUTHORITY_VARIABLES, (holds) => paths[holds]),
    files: [
      { path: BUNDLE, content: bundle },
      { path: ADDED, content: further },
      { path: JAVA_STORE, content: javaStore },
    ],
    bundle,
    javaStore,
  };
}

function mapValues<Value>(
  record: Readonly<Record<string, Value>>,
  map: (value: Value) => string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
