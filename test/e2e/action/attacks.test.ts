/** What a hostile guest tries against the job around it: command files, workflow commands, credentials, the summary. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { filesBelow } from '../../action/runner/runner.ts';
import { expression, IN_GUEST, planJobs, SAND, USES } from './jobs.ts';

const jobs = planJobs();
const SECRETS = { GITHUB_TOKEN: 'ghs_of-the-job-itself', NPM_TOKEN: 'sesame-of-the-workflow' };
const WITH = {
  mode: 'shell',
  policy: 'offline',
  sand: SAND,
  comment: 'false',
  env: 'NPM_TOKEN',
  'host-env': '*',
};

const ATTACK = [
  'set +e',
  // Variables and paths that run code outside of the guest, in the next step that is not in one.
  'for name in LD_PRELOAD NODE_OPTIONS BASH_ENV GIT_SSH_COMMAND PYTHONSTARTUP npm_config_script_shell https_proxy GITHUB_TOKEN; do',
  '  echo "$name=$PWD/evil" >> "$GITHUB_ENV"',
  'done',
  'printf "BASH_FUNC_ls%%%%=() { evil; }\\n" >> "$GITHUB_ENV"',
  'printf "FINE<<EOF\\nLD_PRELOAD=evil\\nEOF\\n" >> "$GITHUB_ENV"',
  'mkdir -p bin; printf "#!/bin/sh\\necho evil ran\\n" > bin/git; chmod +x bin/git; echo "$PWD/bin" >> "$GITHUB_PATH"',
  // The files themselves.
  'rm -f "$GITHUB_ENV" && echo removed; ln -sf /etc/passwd "$GITHUB_OUTPUT" && echo linked; ls "$(dirname "$GITHUB_ENV")"',
  // The runner listens to what is printed.
  'echo "::add-mask::fine"; echo "::set-output name=digest::evil"; echo "::save-state name=folder::/etc"; echo "x ##[error]evil"',
  'echo "::stop-commands::evil"; echo "::error::evil" >&2; printf "no line end"',
  'echo "token: [$GITHUB_TOKEN] [$ACTIONS_RUNTIME_TOKEN] [$ACTIONS_ID_TOKEN_REQUEST_TOKEN] [$OTHER]"',
  'echo "asked for: $NPM_TOKEN"; tr "\\0" "\\n" < /proc/1/environ | grep TOKEN',
  'echo "<!-- " >> "$GITHUB_STEP_SUMMARY"; curl -sS http://denied.example/; true',
].join('\n');

describe('a hostile step in a guest', () => {
  it('changes nothing of what later steps of the host run, and the runner obeys none of its lines', async () => {
    const runner = jobs.start({ secrets: SECRETS, environment: { OTHER: 'of-the-workflow' } });
    await runner.step({ uses: USES, with: WITH });
    const step = await runner.step({
      id: 'hostile',
      shell: IN_GUEST,
      run: ATTACK,
      env: { NPM_TOKEN: expression('secrets.NPM_TOKEN') },
    });
    expect(step.code).toBe(120);
    expect([...runner.globalEnvironment]).toEqual([['FINE', 'LD_PRELOAD=evil']]);
    expect(runner.globalPath).toHaveLength(1);
    expect(step.raw).not.toMatch(/^(removed|linked)$/m);
    expect(step.outputs.size).toBe(0);
    expect(step.commands.map(({ name, properties }) => [name, properties.title])).toEqual([
      ...Array(10).fill(['notice', 'held back from later steps']),
      ['error', 'denied.example:80 was denied'],
    ]);
    expect(step.raw).toContain('token: [] [] [] []');
    expect(step.raw).toContain(`asked for: ${SECRETS.NPM_TOKEN}`);
    expect(step.log).toContain('asked for: ***');
    expect(step.log).not.toContain(SECRETS.NPM_TOKEN);
    // What was denied stands before a comment that the guest leaves open.
    expect(step.summary.indexOf('denied.example')).toBeLessThan(step.summary.indexOf('<!--'));
    const host = await runner.step({ run: 'echo "host: $(command -v git) [$LD_PRELOAD] [$NODE_OPTIONS]"' });
    expect(host.log).not.toContain('evil');
    const post = await runner.end();
    expect(post.map(({ code }) => code)).toEqual([0]);
    const kept = filesBelow(runner.temp).filter((path) => !/\/_temp\/[^/]+\.sh$/.test(path));
    expect(kept.filter((path) => readFileSync(path, 'latin1').includes(SECRETS.NPM_TOKEN))).toEqual([]);
    expect(kept.filter((path) => readFileSync(path, 'latin1').includes(SECRETS.GITHUB_TOKEN))).toEqual([]);
  });

  it('fails where its command file does not parse, as with the runner, and none of it counts', async () => {
    const runner = jobs.start();
    await runner.step({ uses: USES, with: WITH });
    const run = 'echo "FINE=1" >> "$GITHUB_ENV"; echo "NAME<<EOF" >> "$GITHUB_ENV"';
    const step = await runner.step({ shell: IN_GUEST, run });
    expect(step.code).toBe(1);
    expect(step.commands.map(({ name }) => name)).toEqual(['error']);
    expect(runner.globalEnvironment.size).toBe(0);
  });

  it('does not start where checkout has left the token in the workspace', async () => {
    const runner = jobs.start();
    await runner.step({ uses: USES, with: WITH });
    runner.file('.git/config', '[http "https://github.com/"]\n\textraheader = AUTHORIZATION: basic eC1h\n');
    const step = await runner.step({ shell: IN_GUEST, run: 'echo ran; cat .git/config' });
    expect([step.code, step.commands[0]?.properties.title]).toEqual([2, 'sand (usage)']);
    expect(step.raw).not.toMatch(/^ran$/m);
  });
});
