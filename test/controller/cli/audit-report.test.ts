import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditRoot } from '../../../audit/runs.ts';
import { auditReport } from '../../../controller/cli/audit-report.ts';
import { connection, linesOf, runEnd, runStart, temporaryDirectory } from '../../audit/samples.ts';

const RUN = '20261121-201500-k3f9';
const OTHER = '20251121-201500-aaaa';

function world() {
  const folder = temporaryDirectory();
  const env = { XDG_STATE_HOME: folder };
  const logs = {
    [RUN]: linesOf([runStart(), connection(), runEnd()]),
    [OTHER]: linesOf([runStart({ run: OTHER })]),
  };
  for (const [id, lines] of Object.entries(logs)) {
    mkdirSync(join(auditRoot(env), id), { recursive: true });
    writeFileSync(join(auditRoot(env), id, 'audit.jsonl'), lines.map((line) => `${line}\n`).join(''));
  }
  const written: string[] = [];
  const options = { env, write: (text: string) => void written.push(text), force: false, runs: [] };
  return { folder, file: join(folder, 'report.html'), options, text: () => written.join('') };
}

test('writes the last run to a file that its owner alone can read, and leaves nothing beside it', async () => {
  const { options, file, folder, text } = world();
  expect(await auditReport({ ...options, html: file })).toBe(0);
  expect(readFileSync(file, 'utf8')).toMatch(/^<!doctype html>.*evil\.example.*<\/html>\n$/s);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).sort()).toEqual(['report.html', 'sand']);
  expect(text()).toBe(`${file}: run ${RUN}, 3 events, 1 denied\n`);
});

test('writes several runs to stdout, oldest first and each once, and is 1 for a log without its seal', async () => {
  const { options, text } = world();
  expect(await auditReport({ ...options, html: '-', runs: [RUN, '2025', OTHER] })).toBe(1);
  const [, json = ''] = /data-page="summary">(.*)<\/script>/.exec(text()) ?? [];
  const { runs } = JSON.parse(json) as { runs: { id: string; chain: { state: string } }[] };
  expect(runs.map(({ id, chain }) => [id, chain.state])).toEqual([
    [OTHER, 'unsealed'],
    [RUN, 'sealed'],
  ]);
});

test('replaces a file only when told so, and nothing that is no ordinary file ever', async () => {
  const { options, file, folder } = world();
  writeFileSync(file, 'mine');
  const attempt = (html: string, force: boolean) => auditReport({ ...options, html, force });
  await expect(attempt(file, false)).rejects.toMatchObject({
    code: 'file-invalid',
    hint: expect.stringMatching(/--force/),
  });
  expect(readFileSync(file, 'utf8')).toBe('mine');
  expect(await attempt(file, true)).toBe(0);
  expect(readFileSync(file, 'utf8')).toMatch(/^<!doctype/);
  await expect(attempt(folder, true)).rejects.toMatchObject({
    message: expect.stringMatching(/no ordinary file/),
  });
  symlinkSync('/dev/null', join(folder, 'sink'));
  await expect(attempt(join(folder, 'sink'), true)).rejects.toMatchObject({
    message: expect.stringMatching(/no ordinary file/),
  });
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
});

test('never writes through a link to nowhere', async () => {
  const { options, folder } = world();
  const link = join(folder, 'link');
  symlinkSync(join(folder, 'elsewhere'), link);
  await expect(auditReport({ ...options, html: link })).rejects.toMatchObject({
    message: expect.stringMatching(/is there already/),
  });
  expect(readdirSync(folder).sort()).toEqual(['link', 'sand']);
});

test('says what to do without a file, without a folder, and with too many runs', async () => {
  const { options, folder } = world();
  await expect(auditReport(options)).rejects.toMatchObject({
    code: 'usage',
    hint: expect.stringMatching(/--html FILE/),
  });
  const nowhere = join(folder, 'no', 'where.html');
  await expect(auditReport({ ...options, html: nowhere })).rejects.toMatchObject({
    message: expect.stringMatching(/ENOENT/),
  });
  const runs = Array.from({ length: 101 }, () => RUN);
  await expect(auditReport({ ...options, html: '-', runs })).rejects.toMatchObject({
    message: expect.stringMatching(/100 runs/),
  });
});
