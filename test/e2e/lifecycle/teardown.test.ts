/** Every way out of a run, also through tools that fail, hang or lie: nothing of the run stays behind. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, type World } from '../sand.ts';
import { follow, until } from './conditions.ts';
import { descendants, filesBelow, watchRun } from './remains.ts';

const DEADLINE_MS = 5_000;
const SYSTEM = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

describe.each(CALLERS)('after a run of the %s', (who) => {
  let world: World;
  let tools = 0;
  beforeAll(() => {
    world = createWorld(who);
    mkdirSync(join(world.root, 'tmp'), { mode: 0o1777 });
    chmodSync(join(world.root, 'tmp'), 0o1777);
    world.file('bad.yaml', 'version: 1\nrules:\n  - alow: example.com\n');
  });
  afterAll(() => world.remove());

  /** Starts sand where these programs stand in for the system's, and gives what must be true afterwards. */
  const begin = (args: readonly string[], fakes: Readonly<Record<string, string>> = {}) => {
    const folder = join(world.root, `tools-${++tools}`);
    mkdirSync(folder);
    for (const [name, script] of Object.entries(fakes)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    const before = filesBelow(world.root, ['state', 'cache']);
    const run = follow(
      world.start(['run', ...args], {
        environment: { SAND_TOOL_PATH: `${folder}:${SYSTEM}`, TMPDIR: join(world.root, 'tmp') },
      }),
    );
    const watch = watchRun(run.pid, world.root);
    const endsWith = async (...codes: readonly number[]) => {
      const code = await run.ended();
      expect({ code, stderr: run.stderr() }).toMatchObject({ code: expect.toBeOneOf([...codes]) });
      await watch.nothingRemains(DEADLINE_MS);
      expect(filesBelow(world.root, ['state', 'cache'])).toEqual(before);
    };
    return { run, endsWith };
  };
  const COMMAND = ['--policy', 'strict', '--', 'sh', '-c', 'touch ran; sleep 60'];

  it.each([
    ['a normal end', ['--policy', 'strict', '--', 'sh', '-c', 'sleep 300 & exit 3'], 3],
    ['a command that is not found', ['--policy', 'strict', '--', 'no-such-command'], 127],
    ['a bad policy', ['--policy', './bad.yaml', '--', 'true'], 2],
    ['--timeout', ['--policy', 'strict', '--timeout', '300ms', '--', 'sleep', '60'], 124],
  ])('that came to %s, nothing remains', async (_, args, code) => {
    await begin(args).endsWith(code);
  });

  const LIE = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"';
  /** It names an init as well, as bubblewrap does. */
  const BWRAP_LIE = `echo "{\\"child-pid\\": $$}" 2>/dev/null >&5; ${LIE}`;
  it.each([
    ['an nft that does nothing', { nft: 'cat >/dev/null; exit 0' }, [122, 125]],
    ['an nft that fails', { nft: 'echo broken >&2; exit 1' }, [125]],
    ['an ip that fails', { ip: 'exit 1' }, [125]],
    [
      'an unshare that fails',
      { unshare: 'echo "unshare: unshare failed: Operation not permitted" >&2; exit 1' },
      [125],
    ],
    ['an nsenter that stays where it is', { nsenter: LIE }, [122, 125]],
    ['a bwrap that fails', { bwrap: 'exit 1' }, [125]],
    ['a bwrap that confines nothing', { bwrap: BWRAP_LIE }, [122, 125]],
    ['a bwrap that is killed and leaves its guest', { bwrap: 'cat <&4 >/dev/null & kill -KILL $$' }, [125]],
    ['a bwrap that reports nonsense', { bwrap: 'echo end >&3; exit 0' }, [125]],
  ])('with %s, the command has not run and nothing remains', async (_, fakes, codes) => {
    await begin(COMMAND, fakes).endsWith(...codes);
    expect(existsSync(join(world.workspace, 'ran'))).toBe(false);
  });

  it.each([
    ['an ip', { ip: 'exec sleep 300' }, 'SIGTERM', 143],
    ['an nft', { nft: 'exec sleep 300' }, 'SIGINT', 130],
    ['a bwrap', { bwrap: 'exec sleep 300' }, 'SIGINT', 130],
    ['an unshare', { unshare: 'exec sleep 300' }, 'SIGHUP', 129],
  ] as const)('with %s that hangs, a signal ends it all at once', async (_, fakes, signal, code) => {
    const { run, endsWith } = begin(['--verbose', ...COMMAND], fakes);
    await run.printed('planted');
    await until('the hanging tool', () => watchedSleep(run.pid));
    run.child.kill(signal);
    await endsWith(code);
    expect(existsSync(join(world.workspace, 'ran'))).toBe(false);
  });

  it.each([
    ['SIGINT', 0, 130],
    ['SIGINT', 60, 130],
    ['SIGTERM', 120, 143],
    ['SIGTERM', 200, 143],
  ] as const)('that got a %s %i ms into its start, nothing remains', async (signal, delayMs, code) => {
    const { run, endsWith } = begin(['--verbose', '--policy', 'strict', '--', 'sleep', '60']);
    await run.printed('planted');
    const from = performance.now();
    await until('the moment', () => performance.now() - from >= delayMs);
    run.child.kill(signal);
    await endsWith(code);
  });
});

function watchedSleep(sand: number): boolean {
  return descendants(sand).some(({ commandLine }) => commandLine === 'sleep 300');
}
