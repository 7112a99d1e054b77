/** Runs every example of docs/learning.md but the one that starts a guest; `UPDATE_GOLDEN=1` writes their output anew. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { runPlace } from '../../../audit/runs.ts';
import { createProgram } from '../../../controller/cli/program.ts';
import { connection, linesOf, runEnd, runStart } from '../../audit/samples.ts';

const DOCUMENT = fileURLToPath(new URL('../../../docs/learning.md', import.meta.url));
const RUN = '20261121-201500-k3f9';
const PASSED = { verdict: 'allow', reason: 'would-be-denied', disposition: 'forwarded' } as const;

function writeRun(folder: string): void {
  const run = runPlace(join(folder, 'state/sand/runs'), RUN);
  mkdirSync(run.directory, { recursive: true, mode: 0o700 });
  const policy = { name: 'sand.policy', digest: 'sha256:0', mode: 'report', layers: ['./sand.policy.yaml'] };
  const entries = [
    runStart({ run: RUN, command: ['./job'], policy }),
    connection({ ...PASSED, host: 'pypi.org' }),
    connection({ ...PASSED, host: 'files.pythonhosted.org', connection: 2 }),
    connection({ ...PASSED, host: 'api.example.com', port: 8443, protocol: 'tcp', connection: 3 }),
    connection({
      host: 'x.ads.example',
      reason: 'deny-rule',
      connection: 4,
      rule: { id: 'sand.policy/deny:**.ads.example', file: 'sand.policy.yaml', line: 5 },
    }),
    runEnd(),
  ];
  writeFileSync(
    run.auditPath,
    linesOf(entries)
      .map((line) => `${line}\n`)
      .join(''),
  );
}

/** Words of a command line, single quotes taken off. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

async function runCommand(line: string): Promise<string> {
  let text = '';
  let code = 0;
  const program = createProgram({
    command: null,
    write: (some) => {
      text += some;
    },
    finish: (exit) => {
      code = exit;
    },
  });
  await program.parseAsync([...wordsOf(line).slice(1)], { from: 'user' });
  return code === 0 ? text : `${text}[exit code ${code}]\n`;
}

it('docs/learning.md shows what its commands print', async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'learning-')));
  const before = { cwd: process.cwd(), env: { ...process.env } };
  onTestFinished(() => {
    process.chdir(before.cwd);
    process.env = before.env;
    rmSync(folder, { recursive: true, force: true });
  });
  process.chdir(folder);
  Object.assign(process.env, { HOME: folder, XDG_STATE_HOME: join(folder, 'state'), CI: '1' });
  delete process.env.SAND_CEILING;
  writeRun(folder);
  const document = readFileSync(DOCUMENT, 'utf8');
  const [, policy = ''] = /```yaml\n([\s\S]*?)```/.exec(document) ?? [];
  writeFileSync('sand.policy.yaml', policy);
  let written = '';
  let at = 0;
  for (const block of document.matchAll(/```console\n\$ (.*)\n([\s\S]*?)```/g)) {
    const [whole, line = '', shown = ''] = block;
    const isGuest = line.startsWith('sand run');
    const printed = isGuest ? shown : (await runCommand(line)).replaceAll(folder, '/project');
    written += `${document.slice(at, block.index)}\`\`\`console\n$ ${line}\n${printed}\`\`\``;
    at = block.index + whole.length;
  }
  written += document.slice(at);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(DOCUMENT, written);
  expect(written).toBe(readFileSync(DOCUMENT, 'utf8'));
});
