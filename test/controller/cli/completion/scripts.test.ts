/** The scripts run in the shells that they are for; what they ask of sand is answered by a stand-in. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { completionNames } from '../../../../controller/cli/completion/names.ts';
import { formatCompletion, type Shell } from '../../../../controller/cli/completion/scripts.ts';
import { completionTree } from '../../../../controller/cli/completion/tree.ts';
import { createProgram } from '../../../../controller/cli/program.ts';

const tree = completionTree(createProgram({ command: null, write: () => {}, finish: () => {} }));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'completion-'));
  for (const shell of ['bash', 'zsh', 'fish'] as const)
    writeFileSync(join(folder, `script.${shell}`), formatCompletion(shell, tree));
  const answers =
    'case $2 in guests) echo web; echo db;; groups) echo npm;; *) echo strict; echo group:npm;; esac';
  writeFileSync(join(folder, 'sand'), `#!/bin/sh\n[ "$1" = complete ] || exit 1\n${answers}\n`);
  chmodSync(join(folder, 'sand'), 0o755);
  writeFileSync(join(folder, 'notes.txt'), '');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PROGRAMS: Readonly<Record<Shell, (line: string) => readonly string[]>> = {
  bash: (line) => [
    'bash',
    '--norc',
    '-c',
    `source ./script.bash; COMP_LINE=$1 COMP_POINT=\${#1}; _sand sand; printf '%s\\n' "\${COMPREPLY[@]}"`,
    'bash',
    line,
  ],
  // compadd is there only while a person types; it offers what begins as the last word.
  zsh: (line) => [
    'zsh',
    '-f',
    '-c',
    `source ./script.zsh; compadd() { shift; local w; for w in "$@"; do [[ $w == \${words[CURRENT]}* ]] && print -r -- $w; done }
_files() { print -r -l -- *(N) }; words=("\${(@s: :)1}") CURRENT=\${#words}; _sand`,
    'zsh',
    line,
  ],
  fish: (line) => ['fish', '--no-config', '-c', 'source ./script.fish; complete -C"$argv[1]"', line],
};

function offered(shell: Shell, line: string): readonly string[] {
  const [file = '', ...args] = PROGRAMS[shell](line);
  const { stdout, stderr, error } = spawnSync(file, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: `${folder}:/usr/bin:/bin`, HOME: folder, LC_ALL: 'C.UTF-8' },
    timeout: 20_000,
  });
  expect({ error, stderr }).toEqual({ error: undefined, stderr: '' });
  return stdout.split('\n').filter((word) => word !== '');
}

const has = (shell: Shell) => spawnSync(shell, ['-c', 'true']).status === 0;

describe.each(['bash', 'zsh', 'fish'] as const)('the completion of %s', (shell) => {
  // The two are Debian packages that not every machine has; bash is everywhere.
  const here = shell === 'bash' || has(shell) ? it : it.skip;

  here('offers commands and flags where they stand', () => {
    expect(offered(shell, 'sand ')).toEqual(
      expect.arrayContaining(['run', 'exec', 'cp', 'policy', 'completion']),
    );
    expect(offered(shell, 'sand ')).not.toContain('supervise');
    expect(offered(shell, 'sand policy se')).toEqual(['set']);
    expect(offered(shell, 'sand run --read')).toEqual(['--read-only']);
    expect(offered(shell, 'sand completion ')).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
  });

  here('asks for names, behind flags and words of all kinds', () => {
    expect(offered(shell, 'sand exec ')).toEqual(expect.arrayContaining(['web', 'db']));
    expect(offered(shell, 'sand stop web d')).toEqual(['db']);
    expect(offered(shell, 'sand exec --env A=b w')).toEqual(['web']);
    expect(offered(shell, 'sand policy set web stri')).toContain('strict');
    expect(offered(shell, 'sand run --policy strict --policy stri')).toContain('strict');
    expect(offered(shell, 'sand cp w')).toContain('web:/');
    expect(offered(shell, 'sand run --share ss')).toEqual(['ssh-agent']);
  });

  here('leaves the command of a guest to files', () => {
    expect(offered(shell, 'sand run -- no')).toContain('notes.txt');
  });
});

describe('the names of sand', () => {
  it('are presets, and groups as --policy takes them', () => {
    expect(completionNames('policies', {})).toEqual(expect.arrayContaining(['strict', 'group:npm']));
    expect(completionNames('groups', {})).toContain('npm');
    expect(() => completionNames('secrets', {})).toThrow(/no list/);
  });

  it('are no guests where there are none', () => {
    expect(completionNames('guests', { XDG_STATE_HOME: folder })).toEqual([]);
  });
});
