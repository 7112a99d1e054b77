import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { GuestSpec } from '../../../controller/backends/backend.ts';
import { SandError } from '../../../controller/errors.ts';
import type { Row } from '../../../controller/verify/attack.ts';
import { PLACES } from '../../../controller/verify/ground.ts';
import { PROTECTED } from '../../../controller/verify/guest-attacks.ts';
import { exitCodeOf } from '../../../controller/verify/judgement.ts';
import { verifyConfinement } from '../../../controller/verify/verify.ts';
import { createFakeBackend, type FakeOptions } from '../run/fake-backend.ts';
import { lieOf, rawPlaces } from './liar.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'verify-test-'));
  for (const folder of ['home', 'temporary']) mkdirSync(join(root, folder));
  // Of its own, so that what another run of it has there is no leftover of this one.
  vi.stubEnv('TMPDIR', join(root, 'temporary'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

interface Guest {
  /** What is at a path of the guest's, on the host. */
  readonly at: (path: string) => string;
  readonly attempts: string;
}

/** A guest that lies about everything, and does `deed` meanwhile. */
async function verifyLiar(
  deed: (guest: Guest) => Promise<void> | void,
  options: FakeOptions = {},
  say: (attempts: string) => string = lieOf,
): Promise<readonly Row[]> {
  let spec: GuestSpec | null = null;
  const launcher = createFakeBackend({
    create: (given) => {
      spec = given;
    },
    exec: async (command) => {
      const at = (path: string) => {
        const mount = spec?.mounts.find(({ target }) => path === target || path.startsWith(`${target}/`));
        if (mount === undefined) throw new Error(`the guest has no ${path}`);
        return mount.source + path.slice(mount.target.length);
      };
      const attempts = readFileSync(at(command.argv.at(-1) ?? ''), 'utf8');
      await deed({ at, attempts });
      await command.output?.('stdout', Buffer.from(say(attempts)));
      return { code: 0 };
    },
    ...options,
  });
  const environ = { HOME: join(root, 'home'), XDG_STATE_HOME: join(root, 'state') };
  return verifyConfinement({ backend: 'linux', image: null, isolation: null, link: null, environ, launcher });
}

function open(rows: readonly Row[]): readonly string[] {
  return rows.filter(({ verdict }) => verdict === 'open').map(({ id }) => id);
}

function leftovers(): readonly string[] {
  return [
    ...readdirSync(join(root, 'temporary')),
    ...readdirSync(join(root, 'home')).filter((name) => name.startsWith('.sand-verify-')),
  ];
}

describe('a guest whose program says that everything failed', () => {
  it('holds nothing by that: the allowed name did not work', async () => {
    const rows = await verifyLiar(() => {});
    expect(rows.filter(({ id }) => id.startsWith('control-')).map(({ verdict }) => verdict)).toEqual([
      'untold',
      'untold',
      'untold',
      'untold',
    ]);
    expect(rows.find(({ id }) => id === 'start-probes')?.verdict).toBe('untold');
    expect(exitCodeOf(rows)).toBe(1);
    expect(leftovers()).toEqual([]);
    expect(process.env.SAND_VERIFY_CANARY).toBeUndefined();
  });

  it('is open where it reached a listener of this host', async () => {
    const rows = await verifyLiar(async ({ attempts }) => {
      const place = rawPlaces(attempts).find(({ host }) => host === '127.0.0.1');
      await once(connect(place ?? { port: 0 }).resume(), 'close');
    });
    expect(open(rows)).toContain('canaries');
    expect(open(rows).filter((id) => id.startsWith('tcp-127-0-0-1-'))).toHaveLength(1);
  });

  it('is open where it dialled a Unix socket of this host', async () => {
    const rows = await verifyLiar(async ({ attempts }) => {
      const [, path = ''] = /^as host-socket try unix (\S+)$/m.exec(attempts) ?? [];
      await once(connect(path).resume(), 'close');
    });
    expect(open(rows)).toEqual(expect.arrayContaining(['canaries', 'host-socket']));
  });

  it('is open where it wrote a hook, the policy, or a new hook', async () => {
    const rows = await verifyLiar(({ at }) => {
      writeFileSync(at(`${PLACES.linux.workspace}/${PROTECTED.hook}`), 'evil');
      rmSync(at(`${PLACES.linux.workspace}/${PROTECTED.policy}`));
      writeFileSync(at(`${PLACES.linux.workspace}/.git/hooks/post-checkout`), 'evil');
    });
    expect(open(rows)).toEqual(expect.arrayContaining(['write-hook', 'write-policy', 'new-hook']));
    expect(open(rows)).not.toContain('write-project');
  });
});

describe('fail closed', () => {
  it('holds nothing of a guest that says nothing, or half of it', async () => {
    for (const say of [() => '', (attempts: string) => lieOf(attempts).slice(0, -4)]) {
      const rows = await verifyLiar(() => {}, {}, say);
      expect(rows.filter(({ verdict }) => verdict === 'held').map(({ id }) => id)).toEqual([
        'canaries',
        'log',
      ]);
      expect(exitCodeOf(rows)).toBe(1);
    }
  });

  it('makes a row of start probes that found a way out', async () => {
    const rows = await verifyLiar(() => {}, {
      start: async (gateway) =>
        gateway.record({ kind: 'probe', name: 'routes', passed: false, detail: 'eth0' }),
      confined: async () => {
        throw new SandError('probe-failed', 'a way out', 'report it');
      },
      exec: async () => {
        throw new SandError('probe-failed', 'a way out', 'report it');
      },
    });
    expect(rows.find(({ id }) => id === 'start-probes')).toMatchObject({ verdict: 'open' });
    expect(exitCodeOf(rows)).toBe(1);
  });

  it('raises what kept the guest from starting, and leaves nothing', async () => {
    await expect(verifyLiar(() => {}, { failing: 'create' })).rejects.toMatchObject({ code: 'tool-failed' });
    expect(leftovers()).toEqual([]);
    expect(existsSync(join(root, 'state', 'sand', 'runs'))).toBe(true);
  });
});

describe('a guest that is root of a machine of its own', () => {
  const MAC = { guestSystem: 'macos', link: 'ethernet', isolation: 'vm', protection: 'restored' } as const;

  async function verifyMac(
    deed: (folder: string, command: readonly string[]) => void,
    isolation: 'vm' | null = null,
  ): Promise<{ readonly rows: readonly Row[]; readonly spec: GuestSpec | null }> {
    let spec: GuestSpec | null = null;
    const fake = createFakeBackend({
      create: (given) => {
        spec = given;
      },
      exec: async (command) => {
        const folder = spec?.mounts.find(({ target }) => target === PLACES.macos.program)?.source ?? '';
        deed(folder, command.argv);
        await command.output?.('stdout', Buffer.from(lieOf(readFileSync(join(folder, 'attempts'), 'utf8'))));
        return { code: 0 };
      },
    });
    const launcher = { ...fake, capabilities: { ...fake.capabilities, ...MAC } };
    const environ = { HOME: join(root, 'home'), XDG_STATE_HOME: join(root, 'state') };
    const rows = await verifyConfinement({
      backend: 'linux',
      image: null,
      isolation,
      link: null,
      environ,
      launcher,
    });
    return { rows, spec };
  }

  it('gets the script for the Perl of its system, where macOS lets a folder be made', async () => {
    let argv: readonly string[] = [];
    const { spec } = await verifyMac((_, command) => {
      argv = command;
    }, 'vm');
    const place = PLACES.macos.program;
    expect(argv).toEqual(['/usr/bin/perl', `${place}/probe.pl`, `${place}/attempts`]);
    expect(spec).toMatchObject({ isolation: 'vm' });
    expect(leftovers()).toEqual([]);
  });

  it('is open where what it was shown read-only is another afterwards, whatever it says', async () => {
    const made = await verifyMac((folder) => writeFileSync(join(folder, 'more'), 'x'));
    const changed = await verifyMac((folder) => writeFileSync(join(folder, 'probe.pl'), 'x'));
    const gone = await verifyMac((folder) => rmSync(join(folder, 'probe.pl')));
    for (const { rows } of [made, changed, gone])
      expect(open(rows)).toEqual(
        expect.arrayContaining([
          'write-read-only',
          'rename-read-only',
          'root-read-only',
          'remount-read-only',
        ]),
      );
    expect(open((await verifyMac(() => {})).rows)).not.toContain('write-read-only');
  });

  it('holds nothing by saying that everything failed: its controls did not work', async () => {
    const { rows } = await verifyMac(() => {});
    for (const id of ['control-root', 'control-frame', 'control-proxy', 'interfaces', 'routes'])
      expect(rows.find((row) => row.id === id)?.verdict, id).toBe('untold');
    expect(exitCodeOf(rows)).toBe(1);
  });
});
