#!/usr/bin/env node
/**
 * The `sand` command: checks that Node is new enough, in syntax that old ones read, and starts the built
 * program, or in a clone the sources. Compiled code is kept in sand's own state folder, which no guest gets:
 * Node's default, a folder in /tmp, could be somebody else's.
 */
import { existsSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

const FLOOR = 24;

if (Number(process.versions.node.split('.')[0]) < FLOOR) {
  process.stderr.write(
    `sand: needs Node ${FLOOR} or newer, and this is ${process.version} (node-too-old)\n` +
      `  do: install Node ${FLOOR}, for example with \`npm install --global node@${FLOOR}\`\n`,
  );
  process.exitCode = 125;
} else {
  const state = process.env.XDG_STATE_HOME ?? '';
  module.enableCompileCache(
    join(isAbsolute(state) ? state : join(homedir(), '.local', 'state'), 'sand', 'compiled'),
  );
  const source = new URL('../cli/main.ts', import.meta.url);
  const built = new URL('../../dist/sand.js', import.meta.url);
  await import(existsSync(source) ? source.href : built.href);
}
