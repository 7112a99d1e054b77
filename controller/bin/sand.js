#!/usr/bin/env node
/**
 * The `sand` command: checks that Node is new enough, in syntax that old ones read, and starts the built
 * program, or in a clone the sources.
 */
import { existsSync } from 'node:fs';

const FLOOR = 24;

if (Number(process.versions.node.split('.')[0]) < FLOOR) {
  process.stderr.write(
    `sand: needs Node ${FLOOR} or newer, and this is ${process.version} (node-too-old)\n` +
      `  do: install Node ${FLOOR}, for example with \`npm install --global node@${FLOOR}\`\n`,
  );
  process.exitCode = 125;
} else {
  const built = new URL('../../dist/sand.js', import.meta.url);
  const source = new URL('../cli/main.ts', import.meta.url);
  await import(existsSync(source) ? source.href : built.href);
}
