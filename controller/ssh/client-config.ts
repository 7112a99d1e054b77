/** What ssh on the host is told to reach one guest and nothing else: a Host block, for sand itself and for editors. Pure. */
import { shellWord } from '../process/shell-word.ts';

export interface SshHost {
  /** What people write: `sand-NAME`. */
  readonly alias: string;
  /** Its key is known by this alone. */
  readonly keyAlias: string;
  readonly user: string;
  readonly identityPath: string;
  readonly knownHostsPath: string;
  /** Becomes the connection. */
  readonly proxy: readonly string[];
}

/**
 * Every setting by which a server could get more of the client than bytes is named, so that a `Host *` of the person's
 * own does not turn it on.
 */
export function formatHostBlock(host: SshHost): string {
  const settings: readonly (readonly [string, string])[] = [
    ['HostName', host.alias],
    ['HostKeyAlias', host.keyAlias],
    ['User', host.user],
    ['ProxyCommand', host.proxy.map(shellWord).join(' ').replaceAll('%', '%%')],
    ['IdentityFile', configWord(host.identityPath)],
    ['IdentitiesOnly', 'yes'],
    ['IdentityAgent', 'none'],
    ['PreferredAuthentications', 'publickey'],
    ['PasswordAuthentication', 'no'],
    ['KbdInteractiveAuthentication', 'no'],
    ['UserKnownHostsFile', configWord(host.knownHostsPath)],
    ['GlobalKnownHostsFile', '/dev/null'],
    ['StrictHostKeyChecking', 'yes'],
    ['UpdateHostKeys', 'no'],
    ['ForwardAgent', 'no'],
    ['ForwardX11', 'no'],
    ['Tunnel', 'no'],
    ['PermitLocalCommand', 'no'],
    ['CanonicalizeHostname', 'no'],
    ['ControlPath', 'none'],
    ['LogLevel', 'ERROR'],
  ];
  return `Host ${host.alias}\n${settings.map(([name, value]) => `  ${name} ${value}\n`).join('')}`;
}

/** As ssh_config(5) reads a path: in double quotes, where `%` begins a token. */
function configWord(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}
