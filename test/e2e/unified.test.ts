/**
 * Limits by control groups of version 2, for real and as an ordinary user: in a user-mode kernel, since a host that has
 * version 1 for its controllers cannot lend them. Skipped where that kernel is not installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NODE } from './sand.ts';

/** Boots in two seconds, and runs everything several times slower than its host. */
const DEADLINE_MS = 240_000;
const KERNEL = 'linux.uml';
/** The kernel's own words go to the console as well. */
const LINE = /^SAND (\{.*\})\r?$/gm;
const here = (name: string) => new URL(`unified/${name}`, import.meta.url).pathname;

const missing = spawnSync(KERNEL, ['--version']).error !== undefined;
if (missing)
  console.log(`skipped: control groups of version 2: ${KERNEL} is not installed (user-mode-linux)`);

type Told = Readonly<Record<string, unknown>>;
const told = new Map<string, Told>();

async function boot(folder: string): Promise<string> {
  const child = spawn(
    KERNEL,
    [
      ...['mem=512M', 'root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro', 'quiet'],
      ...[`init=${here('init.sh')}`, 'con=null', 'con0=null,fd:1', `uml_dir=${folder}/`, 'umid=kernel'],
      ...[`sand_node=${NODE}`, `sand_program=${here('program.ts')}`, `sand_path=${process.env.PATH ?? ''}`],
    ],
    {
      cwd: folder,
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    },
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  // Its processes are processes of the host, in a group of their own.
  const deadline = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), DEADLINE_MS);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(deadline);
      resolve(text);
    });
  });
}

describe.skipIf(missing)('control groups of version 2', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sand-unified-'));
  beforeAll(async () => {
    const output = await boot(folder);
    for (const [, line = ''] of output.matchAll(LINE)) {
      const { place, what, value } = JSON.parse(line) as { place: string; what: string; value: unknown };
      told.set(place, { ...told.get(place), [what]: value });
    }
  }, DEADLINE_MS + 10_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('that nobody delegated are refused', () => {
    const { refused, doctor } = told.get('foreign') ?? {};
    expect(refused).toMatchObject({ ok: false, limit: 'cpus' });
    expect(doctor).toMatchObject([{ check: 'resources', state: 'warning' }]);
  });

  it('that were delegated hold every limit, after sand has moved out of the way', () => {
    const { doctor, before, during, ...rest } = told.get('delegated') ?? {};
    expect(doctor).toMatchObject([{ state: 'ok' }]);
    expect(before).toEqual({ processes: 2, enabled: '', groups: [] });
    expect(during).toMatchObject({ processes: 0, enabled: 'cpu memory pids' });
    expect(rest['memory ended']).toBe(137);
    expect(rest.events).toMatchObject([{ code: 'memory-limit-reached' }, { code: 'pids-limit-reached' }]);
    expect(rest['cpu.max']).toBe('6400000 100000');
  });

  it('are gone afterwards, with what was left in them, and all is as before', () => {
    const { before, after, left } = told.get('delegated') ?? {};
    expect(left).toBe('SIGKILL');
    expect(after).toEqual(before);
  });
});
