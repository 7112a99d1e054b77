/**
 * How soon a client in a guest learns that it was refused: one guest, `refusal-client.ts` in it, each way to be
 * refused once a round. What is timed is the client's own view, from its first call to the refusal in its hands.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildPackage } from './built-package.ts';
import type { ClientFindings } from './refusal-client.ts';
import { median, quantile } from './statistics.ts';
import { formatFigure, formatRatio, formatTable } from './table.ts';
import { Workplace } from './workplace.ts';

export const name = 'refusal';
export const summary = 'milliseconds from a request to its refusal inside a guest, by client and way';

/** A round of connections takes tens of milliseconds, one of programs half a second: the bound is for busy machines. */
const CLIENT_TIMEOUT_MS = 120_000;

const POLICY = `version: 1
name: refusal
extends: [strict]
rules:
  - allow: database.refusal.example
    tcp: [5432]
`;

export async function run(): Promise<void> {
  await using workplace = new Workplace();
  const { folder } = workplace;
  const workspace = join(folder, 'workspace');
  for (const path of [workspace, join(folder, 'home'), join(folder, 'state')]) mkdirSync(path);
  writeFileSync(join(workspace, 'refusal.yaml'), POLICY);
  cpSync(new URL('./refusal-client.ts', import.meta.url), join(workspace, 'refusal-client.ts'));
  const sand = buildPackage(folder);
  const node = dirname(realpathSync(process.execPath));
  const flags = ['--policy', './refusal.yaml', '--mount', '.:/bench', '--mount', `${node}:/bench-node:ro`];
  const client = ['/bench-node/node', '--disable-warning=ExperimentalWarning', '/bench/refusal-client.ts'];
  const result = spawnSync(
    process.execPath,
    [sand, 'run', ...flags, '--workdir', '/bench', '--', ...client],
    {
      cwd: workspace,
      env: { ...process.env, HOME: join(folder, 'home'), XDG_STATE_HOME: join(folder, 'state') },
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
      timeout: CLIENT_TIMEOUT_MS,
    },
  );
  if (result.status !== 0) throw new Error(`the guest ended with ${result.status}: ${result.stderr}`);
  process.stdout.write(formatTable(tableOf(JSON.parse(result.stdout) as ClientFindings)));
}

function tableOf({ rows, skipped }: ClientFindings) {
  return {
    head: ['refused', 'n', 'median ms', 'p99', 'baseline ms', 'it ÷ baseline'],
    rows: rows.map(({ title, times, baseline }) => [
      title,
      String(times.length),
      formatFigure(median(times)),
      formatFigure(quantile(times, 0.99)),
      formatFigure(median(baseline)),
      formatRatio(median(times) / median(baseline)),
    ]),
    notes: [
      'baseline: a connect to a closed port of the guest\u2019s own loopback, by the same client, in the same rounds',
      ...skipped.map((why) => `skipped: ${why}`),
    ],
  };
}
