/**
 * Folders of the host that no guest gets, as each system names them: what holds more than a project, what holds credentials, and what
 * holds programs that the host runs. Data alone; `workspace.ts` refuses by it.
 */

export interface HostPlaces {
  /** They hold more than a project; nobody means them. What lies in them may be meant. */
  readonly crowded: readonly string[];
  /** Of a home: credentials. With all that lies in them, and all that they lie in. */
  readonly credentials: readonly string[];
  /** Programs that sand, or everybody on this host, runs: never to be written, with all that lies in them. */
  readonly programs: readonly string[];
}

const EVERYWHERE: HostPlaces = {
  crowded: [
    ...['/', '/home', '/root', '/etc', '/usr', '/var', '/opt', '/srv', '/mnt', '/media'],
    ...['/proc', '/sys', '/dev', '/run', '/boot', '/tmp', '/Users'],
  ],
  credentials: [
    ...['.ssh', '.gnupg', '.aws', '.azure', '.config', '.docker', '.kube'],
    ...['.local/share/keyrings', '.password-store', '.mozilla', '.netrc'],
  ],
  programs: [],
};

/** /etc, /tmp and /var are links into /private. Volumes show in /Volumes, and the one of the homes in /System/Volumes/Data too. */
const MAC: HostPlaces = {
  crowded: [
    ...[
      '/private',
      '/private/etc',
      '/private/tmp',
      '/private/var',
      '/private/var/folders',
      '/private/var/root',
    ],
    ...['/System', '/System/Volumes', '/System/Volumes/Data', '/Volumes', '/Network', '/Library'],
    ...['/Applications', '/cores', '/bin', '/sbin', '/usr/local', '/opt/homebrew', '/nix'],
  ],
  credentials: [
    ...[
      'Library/Keychains',
      'Library/Accounts',
      'Library/Cookies',
      'Library/HTTPStorages',
      'Library/IdentityServices',
    ],
    // Browsers, password managers, chats and Docker keep sessions there, and what isolates apps from each other.
    ...[
      'Library/Application Support',
      'Library/Containers',
      'Library/Group Containers',
      'Library/Preferences',
    ],
    ...[
      'Library/Mail',
      'Library/Messages',
      'Library/Safari',
      'Library/Calendars',
      'Library/PersonalizationPortrait',
    ],
    // What is here is started at the next login.
    ...['Library/LaunchAgents', 'Library/Services', 'Library/Scripts'],
  ],
  programs: ['/opt/homebrew', '/usr/local', '/Applications', '/Library'],
};

export function hostPlaces(platform: NodeJS.Platform = process.platform): HostPlaces {
  if (platform !== 'darwin') return EVERYWHERE;
  return {
    crowded: [...EVERYWHERE.crowded, ...MAC.crowded],
    credentials: [...EVERYWHERE.credentials, ...MAC.credentials],
    programs: MAC.programs,
  };
}
