/**
 * The guest's environment, an allowlist as well: a short list of the caller's variables, those that name a
 * certificate file or a toolchain which the guest can see, what tools need to find the proxy, and what the
 * caller named. Pure.
 */
import { LINK } from '../../links/namespace/topology.ts';
import type { GuestIdentity } from './mounts.ts';

/** Of the caller's variables these pass as they are. None of them carries a secret by its meaning. */
const PASSED: readonly string[] = [
  'PATH',
  'TERM',
  'COLORTERM',
  'LANG',
  'LANGUAGE',
  'TZ',
  'NO_COLOR',
  'FORCE_COLOR',
  'CI',
  'DEBIAN_FRONTEND',
  'SOURCE_DATE_EPOCH',
];

/** These pass where the file or folder that they name is visible in the guest. */
const PASSED_WHEN_VISIBLE: readonly string[] = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
  'AWS_CA_BUNDLE',
  'NIX_SSL_CERT_FILE',
  'CARGO_HTTP_CAINFO',
  'HTTPLIB2_CA_CERTS',
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
  'DENO_CERT',
  'JAVA_HOME',
  'GOROOT',
  'PYENV_ROOT',
  'RUSTUP_HOME',
  'NVM_DIR',
  'VOLTA_HOME',
  'SDKMAN_DIR',
  'RBENV_ROOT',
  'DOTNET_ROOT',
];

/** What names the proxy: RFC-less custom that curl, git, pip, npm, cargo, go and wget share. */
export const PROXY_VARIABLES: Readonly<Record<string, string>> = (() => {
  const proxy = `http://${LINK.gateway4}:${LINK.proxyPort}`;
  const none = 'localhost,127.0.0.1,::1';
  return {
    http_proxy: proxy,
    https_proxy: proxy,
    all_proxy: proxy,
    no_proxy: none,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    ALL_PROXY: proxy,
    NO_PROXY: none,
    // Node's fetch looks at the variables above only with this (Node 24).
    NODE_USE_ENV_PROXY: '1',
  };
})();

export interface EnvironmentRequest {
  readonly caller: Readonly<Record<string, string | undefined>>;
  readonly identity: GuestIdentity;
  /** `--env`, and what shares need. */
  readonly named: Readonly<Record<string, string>>;
  readonly visible: (path: string) => boolean;
}

export function planEnvironment(request: EnvironmentRequest): Readonly<Record<string, string>> {
  const { caller, identity } = request;
  const planned: Record<string, string> = {};
  for (const [name, value] of Object.entries(caller)) {
    if (value === undefined) continue;
    const named = PASSED_WHEN_VISIBLE.includes(name) && request.visible(value);
    if (PASSED.includes(name) || name.startsWith('LC_') || named) planned[name] = value;
  }
  return {
    ...planned,
    HOME: identity.home,
    USER: identity.user,
    LOGNAME: identity.user,
    SHELL: '/bin/sh',
    XDG_RUNTIME_DIR: `/run/user/${identity.uid}`,
    SAND: '1',
    ...PROXY_VARIABLES,
    ...request.named,
  };
}
