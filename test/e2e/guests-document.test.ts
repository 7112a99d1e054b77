/** Runs every example of docs/guests.md, in its order, with the real command; `UPDATE_GOLDEN=1` writes their output anew. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { endGuests } from './background.ts';
import { createWorld, NODE, SAND } from './sand.ts';

const DOCUMENT = fileURLToPath(new URL('../../docs/guests.md', import.meta.url));
/** A guest prints when it is its turn: what shows that it has printed is looked for again. */
const LATE = /^sand logs /;

it('docs/guests.md shows what its commands print', { timeout: 180_000 }, async () => {
  const world = createWorld();
  onTestFinished(async () => {
    await endGuests(world);
    world.remove();
  });
  const bin = join(world.root, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'sand'), `#!/bin/sh\nexec ${NODE} ${SAND} "$@"\n`);
  chmodSync(join(bin, 'sand'), 0o755);
  const env = { ...world.environment, PATH: `${bin}:${world.environment.PATH}` };
  const run = (line: string) =>
    new Promise<string>((resolve) => {
      const child = execFile('sh', ['-c', line], { cwd: world.workspace, env }, (error, stdout) => {
        const code = error === null ? 0 : child.exitCode;
        const shown = stdout.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, '2026-11-21 20:15:00');
        resolve(code === 0 ? shown : `${shown}[exit code ${code}]\n`);
      });
      child.stdin?.end();
    });
  const document = readFileSync(DOCUMENT, 'utf8');
  let written = '';
  let at = 0;
  for (const block of document.matchAll(/```console\n\$ (.*)\n([\s\S]*?)```/g)) {
    const [whole, line = '', shown = ''] = block;
    let printed = await run(line);
    for (let look = 0; LATE.test(line) && printed !== shown && look < 20; look++) printed = await run(line);
    written += `${document.slice(at, block.index)}\`\`\`console\n$ ${line}\n${printed}\`\`\``;
    at = block.index + whole.length;
  }
  written += document.slice(at);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(DOCUMENT, written);
  expect(written).toBe(readFileSync(DOCUMENT, 'utf8'));
});
