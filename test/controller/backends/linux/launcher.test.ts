import { describe, expect, it } from 'vitest';
import { LAUNCHER_PROGRAMS, parseLdd, planLauncher } from '../../../../controller/backends/linux/launcher.ts';

const GLIBC = `\tlinux-vdso.so.1 (0x00007f3271cc8000)
\tlibselinux.so.1 => /lib/x86_64-linux-gnu/libselinux.so.1 (0x00007f3271c75000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3271a87000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f3271cca000)
`;
const MUSL = `\t/lib/ld-musl-x86_64.so.1 (0x7f4b1c2d5000)
\tlibcap.so.2 => /usr/lib/libcap.so.2 (0x7f4b1c2b0000)
\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f4b1c2d5000)
`;

describe('parseLdd', () => {
  it('reads glibc\u2019s, musl\u2019s, and that of a static program', () => {
    const glibc = parseLdd(GLIBC);
    expect([...(glibc?.libraries.keys() ?? [])]).toEqual(['libselinux.so.1', 'libc.so.6']);
    expect(glibc?.loader).toBe('/lib64/ld-linux-x86-64.so.2');
    expect(parseLdd(MUSL)?.loader).toBe('/lib/ld-musl-x86_64.so.1');
    expect(parseLdd('\tnot a dynamic executable\n')).toEqual({ libraries: new Map(), loader: null });
  });

  it.each(['\tlibgone.so.1 => not found\n', 'ldd: error\n', '\tlibc.so.6 => relative/libc.so.6 (0x1)\n'])(
    'gives nothing for %j',
    (text) => {
      expect(parseLdd(text)).toBeNull();
    },
  );
});

describe('planLauncher', () => {
  const programs = (linked: string) =>
    LAUNCHER_PROGRAMS.map((program) => ({ program, path: `/usr/bin/${program}`, linked }));

  it('brings the programs, their libraries and the loader, read-only and in one sealed place', () => {
    const { mounts, launcher } = planLauncher(programs(GLIBC));
    expect(mounts.every((mount) => mount.kind === 'bind' && !mount.writable)).toBe(true);
    expect(mounts.every((mount) => 'target' in mount && mount.target.startsWith('/run/sand/launch/'))).toBe(
      true,
    );
    expect(mounts).toHaveLength(1 + 2 + LAUNCHER_PROGRAMS.length);
    expect(launcher.bubblewrap).toEqual([
      '/run/sand/launch/ld.so',
      '--inhibit-cache',
      '--library-path',
      '/run/sand/launch/lib',
      '/run/sand/launch/bin/bwrap',
    ]);
  });

  it('starts a static program by itself, and one of musl by its loader', () => {
    expect(planLauncher(programs('\tstatically linked\n')).launcher.shell).toEqual([
      '/run/sand/launch/bin/sh',
    ]);
    expect(planLauncher(programs(MUSL)).launcher.shell).not.toContain('--inhibit-cache');
  });

  it('refuses two loaders, two libraries of one name, and a program that is missing', () => {
    const [first, ...rest] = programs(GLIBC);
    const other = {
      program: 'bwrap',
      path: '/usr/bin/bwrap',
      linked: GLIBC.replace('/lib/x86', '/opt/x86'),
    } as const;
    const refused = expect.objectContaining({ code: 'backend-unavailable' });
    expect(() => planLauncher([other, ...rest])).toThrow(refused);
    expect(() => planLauncher([{ ...other, linked: MUSL }, ...rest])).toThrow(refused);
    expect(() => planLauncher(first === undefined ? [] : [first])).toThrow(refused);
  });
});
