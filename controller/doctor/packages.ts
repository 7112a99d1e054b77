/**
 * Which command installs a tool on this distribution, from os-release(5). Pure; a distribution that is not
 * known gets a sentence instead of a command.
 */

/** What sand runs, by the package that the most distributions ship it in. */
export type PackageName = 'bubblewrap' | 'util-linux' | 'iproute2' | 'nftables' | 'ca-certificates' | 'runsc';

type Installer = 'apt' | 'dnf' | 'pacman' | 'apk' | 'zypper';

const COMMANDS: Readonly<Record<Installer, string>> = {
  apt: 'apt-get install',
  dnf: 'dnf install',
  pacman: 'pacman -S',
  apk: 'apk add',
  zypper: 'zypper install',
};

/** Identifiers of os-release(5), looked up in ID first and then in ID_LIKE, in its order. */
const INSTALLERS: ReadonlyMap<string, Installer> = new Map([
  ['debian', 'apt'],
  ['ubuntu', 'apt'],
  ['fedora', 'dnf'],
  ['rhel', 'dnf'],
  ['centos', 'dnf'],
  ['amzn', 'dnf'],
  ['arch', 'pacman'],
  ['alpine', 'apk'],
  ['suse', 'zypper'],
  ['opensuse', 'zypper'],
]);

/** Where a package is called otherwise. */
const OTHER_NAMES: Readonly<Partial<Record<Installer, Partial<Record<PackageName, string>>>>> = {
  dnf: { iproute2: 'iproute' },
};

/** Gives the installing command. */
export type Install = (name: PackageName) => string;

/** `root` leaves out `sudo`. */
export function planInstall(osRelease: string, root: boolean): Install {
  const installer = findInstaller(parseOsRelease(osRelease));
  if (installer === null) return (name) => `install ${name} with this system's package manager`;
  return (name) => {
    const command = `${COMMANDS[installer]} ${OTHER_NAMES[installer]?.[name] ?? name}`;
    return root ? command : `sudo ${command}`;
  };
}

function findInstaller(fields: ReadonlyMap<string, string>): Installer | null {
  const names = [fields.get('ID') ?? '', ...(fields.get('ID_LIKE') ?? '').split(' ')];
  for (const name of names) {
    const installer = INSTALLERS.get(name);
    if (installer !== undefined) return installer;
  }
  return null;
}

/** `NAME=value` lines; a value may stand in single or double quotes. What is no such line is passed over. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^(?<name>[A-Z][A-Z0-9_]*)=(?<quote>["']?)(?<value>.*)\k<quote>$/.exec(line.trim());
    if (match?.groups?.name !== undefined) fields.set(match.groups.name, match.groups.value ?? '');
  }
  return fields;
}
