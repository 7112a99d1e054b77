import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseOsRelease, planInstall } from '../../../controller/doctor/packages.ts';

const DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n';
const MINT = 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n';
const ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\n';
const TUMBLEWEED = 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n';

describe('the installing command', () => {
  it.each([
    ['Debian', DEBIAN, 'sudo apt-get install iproute2'],
    ['a descendant of Ubuntu', MINT, 'sudo apt-get install iproute2'],
    ['Fedora', 'ID=fedora\n', 'sudo dnf install iproute'],
    ['a descendant of RHEL', ROCKY, 'sudo dnf install iproute'],
    ['Arch', 'ID=arch\n', 'sudo pacman -S iproute2'],
    ['Alpine', 'ID=alpine\n', 'sudo apk add iproute2'],
    ['openSUSE', TUMBLEWEED, 'sudo zypper install iproute2'],
  ])('of %s', (_, osRelease, command) => {
    expect(planInstall(osRelease, false)('iproute2')).toBe(command);
  });

  it('needs no sudo for root', () => {
    expect(planInstall(DEBIAN, true)('bubblewrap')).toBe('apt-get install bubblewrap');
  });

  it.each(['', 'ID=nixos\n', 'ID=\n', 'ID=constructor\nID_LIKE="__proto__ toString"\n'])(
    'of an unknown distribution is a sentence that names the package',
    (osRelease) => {
      expect(planInstall(osRelease, false)('nftables')).toBe(
        "install nftables with this system's package manager",
      );
    },
  );
});

describe('os-release', () => {
  it('is read with quotes of either kind and without', () => {
    const fields = parseOsRelease(
      '# comment\nID=arch\nNAME="Arch Linux"\nBUILD_ID=\'rolling\'\nlower=x\n=y\nID_LIKE\n',
    );
    expect(Object.fromEntries(fields)).toEqual({ ID: 'arch', NAME: 'Arch Linux', BUILD_ID: 'rolling' });
  });

  it('survives any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) =>
        planInstall(text, false)('bubblewrap').includes('bubblewrap'),
      ),
    );
  });
});
