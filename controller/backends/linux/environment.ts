/**
 * The guest's environment, an allowlist as well: a short list of the caller's variables, those that name a
 * certificate file or a toolchain which the guest can see, what tools need to find the proxy, and what the
 * caller named. Pure.
 */
import { isPassed } from '../../guest/passed-variables.ts';
import { CERTIFICATE_VARIABLES, planProxyVariables } from '../../guest/tools.ts';
import { LINK } from '../../links/namespace/topology.ts';
import type { GuestIdentity } from './mounts.ts';

/** These pass where the file or folder that they name is visible in the guest. */
const PASSED_WHEN_VISIBLE: readonly string[] = [
  ...CERTIFICATE_VARIABLES,
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

export interface EnvironmentRequest {
  readonly caller: Readonly<Record<string, string | undefined>>;
  readonly identity: GuestIdentity;
  /** An image's own variables; they stand before the caller's, and its search path instead of the caller's. */
  readonly image?: Readonly<Record<string, string>>;
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
    // The host's own system is what its search path is for.
    if (name === 'PATH' || isPassed(name) || named) planned[name] = value;
  }
  return {
    ...planned,
    ...request.image,
    HOME: identity.home,
    USER: identity.user,
    LOGNAME: identity.user,
    SHELL: '/bin/sh',
    XDG_RUNTIME_DIR: `/run/user/${identity.uid}`,
    SAND: '1',
    ...planProxyVariables(`http://${LINK.gateway4}:${LINK.proxyPort}`),
    ...request.named,
  };
}
