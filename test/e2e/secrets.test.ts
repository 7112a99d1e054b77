/** Secrets as files of the guest: what it gets, and every place in which a planted one must not be found. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { follow, until } from './lifecycle/conditions.ts';
import { descendants, processes } from './lifecycle/remains.ts';
import { CALLERS, createWorld, type World } from './sand.ts';

const FROM_FILE = 'sesame-of-the-file';
const FROM_VARIABLE = 'sesame-of-the-variable';
const PLANTED = /sesame-of-the-(file|variable)/;

const worlds: World[] = [];
afterAll(() => {
  for (const world of worlds) world.remove();
});

function plant(who: (typeof CALLERS)[number]): { readonly world: World; readonly flags: readonly string[] } {
  const world = createWorld(who);
  worlds.push(world);
  world.file('../home/deploy.key', FROM_FILE);
  const flags = ['--secret', 'key=../home/deploy.key', '--secret', 'token=env:API_TOKEN'];
  return { world, flags: ['run', '--policy', 'strict', ...flags] };
}

function textsBelow(folder: string): readonly (readonly [string, string])[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path, readFileSync(path, 'latin1')] as const);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

describe.each(CALLERS)('secrets of a %s', (who) => {
  it('are files that the guest alone reads, in a memory file system', async () => {
    const { world, flags } = plant(who);
    const script = [
      'cd /run/secrets; cat key token; echo',
      'stat -c "%a %U" . key token',
      'stat -f -c %T key; id -un',
      'echo ---; env; cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr "\\0" "\\n"',
    ].join('\n');
    const run = await world.sand([...flags, '--', 'sh', '-c', script], {
      environment: { API_TOKEN: FROM_VARIABLE },
    });
    const [files, rest = ''] = run.stdout.split('---\n');
    expect(files).toBe(`${FROM_FILE}${FROM_VARIABLE}\n700 sand\n400 sand\n400 sand\ntmpfs\nsand\n`);
    expect(rest).toContain('SAND=1\n');
    expect(rest).not.toMatch(PLANTED);
  });

  it('are in no environment, on no command line, in no log and on no disk while the guest runs', async () => {
    const { world, flags } = plant(who);
    const run = follow(
      world.start([...flags, '--', 'sh', '-c', 'echo up; sleep 600'], {
        environment: { API_TOKEN: FROM_VARIABLE },
      }),
    );
    await run.printed('up');
    const own = descendants(run.pid);
    expect(own.length).toBeGreaterThan(4);
    for (const { pid, commandLine } of [...own, ...processes()]) {
      // The caller put its own variable there, before sand was.
      if (pid === run.pid) continue;
      expect(commandLine).not.toMatch(PLANTED);
      expect([pid, read(`/proc/${pid}/environ`).match(PLANTED)]).toEqual([pid, null]);
    }
    expect(read(`/proc/${run.pid}/cmdline`)).not.toMatch(PLANTED);
    run.child.kill('SIGTERM');
    await run.ended();
    const written = textsBelow(world.root).filter(([path]) => path !== join(world.root, 'home/deploy.key'));
    expect(written.length).toBeGreaterThan(2);
    expect(written.filter(([, content]) => PLANTED.test(content)).map(([path]) => path)).toEqual([]);
    const start = (await world.events()).find(({ kind }) => kind === 'run-start');
    expect(start).toMatchObject({ secrets: ['key', 'token'] });
    await until('the end', () => processes().every(({ pid }) => pid !== run.pid));
  });
});

it('a secret that is not there keeps the guest from starting', async () => {
  const world = createWorld();
  worlds.push(world);
  for (const flag of ['key=./none', 'key=env:NOT_SET_HERE', 'key=/proc/self/mem']) {
    const run = await world.sand(['run', '--secret', flag, '--', 'echo', 'ran']);
    expect(run).toMatchObject({ code: 2, stdout: '' });
    expect(run.stderr).toMatch(/secret-unavailable/);
  }
});
