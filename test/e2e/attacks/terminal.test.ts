/** A guest on its caller's terminal tries to type a command there, for the shell that comes after it. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Outcomes, outcomesOf, placePrograms } from '../attacks-support/probe.ts';
import { CALLERS, createWorld, NODE, outputOf, SAND, type Who, type World } from '../sand.ts';

const INJECTIONS = ['TIOCSTI', 'TIOCSTI with high bits', 'TIOCLINUX'];

describe.each(CALLERS)('the terminal of the %s', (who) => {
  let world: World;

  beforeAll(() => {
    world = createWorld(who);
    placePrograms(world);
  });
  afterAll(() => world.remove());

  it('takes no typing from a guest that stands on it', async () => {
    const outcomes = await onTerminal(world, who, '');
    expect(outcomes['is a terminal']).toBe(true);
    for (const name of INJECTIONS) {
      expect(outcomes[`${name} on standard input`]).toBe('EPERM');
      expect(['EPERM', 'ENXIO']).toContain(outcomes[`${name} on /dev/tty`]);
    }
  });

  it('is not there for a guest whose streams are all elsewhere', async () => {
    const outcomes = await onTerminal(world, who, '</dev/null 2>/dev/null | cat');
    expect(outcomes['is a terminal']).toBe(false);
    expect(outcomes.terminal).toBe('ENXIO');
  });
});

/** `script` gives the command a terminal of its own; what it shows comes back. */
async function onTerminal(world: World, who: Who, redirection: string): Promise<Outcomes> {
  const as = who === 'caller' ? '' : 'setpriv --reuid=54321 --regid=54321 --clear-groups -- ';
  const mount = `--mount ${world.root}/programs:/attack/programs:ro`;
  const command = `${as}${NODE} ${SAND} run --policy offline --mount . ${mount} -- /usr/bin/python3 /attack/programs/terminal.py ${redirection}`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: world.workspace,
    env: world.environment,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return outcomesOf(await outputOf(child, ''));
}
