/** The program `tart`, emulated: parses the command line, shows the faults asked for, does the verb. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Failure, notEmulated } from '../container/failure.ts';
import { showFaults } from '../container/faults.ts';
import { prettyJson } from '../container/output.ts';
import { dumpHelp } from '../grammar/help.ts';
import { readGrammar } from '../grammar/model.ts';
import { parseCommandLine, type Refused, refusal } from '../grammar/parse.ts';
import type { Call } from './call.ts';
import { collectGarbage } from './clones.ts';
import { defaultRoot, type TartHome, tartHomeOf } from './home.ts';
import { readSettings, takeFaults } from './settings.ts';
import { Trap } from './shares.ts';
import { validate } from './validation.ts';
import { findVerb } from './verbs.ts';

const GRAMMAR = fileURLToPath(new URL('grammar.json', import.meta.url));

/** They leave what is unfinished to others. */
const WITHOUT_GARBAGE = ['pull', 'clone'];

function findHome(): TartHome {
  const { TART_HOME, HOME } = process.env;
  if (TART_HOME !== undefined && TART_HOME !== '') return tartHomeOf(TART_HOME);
  if (HOME === undefined || HOME === '') throw new Error('HOME is not set');
  return tartHomeOf(defaultRoot(HOME));
}

/** With TRACEPARENT the tool tells a collector of itself, its whole command line included: here a file is told. */
function trace({ root, spansFile }: TartHome, words: readonly string[]): void {
  if (process.env.TRACEPARENT === undefined) return;
  mkdirSync(root, { recursive: true });
  appendFileSync(spansFile, `${JSON.stringify(words)}\n`);
}

async function main(words: readonly string[]): Promise<number> {
  const home = findHome();
  trace(home, words);
  const settings = readSettings(home);
  const grammar = readGrammar(GRAMMAR, 'tart', settings.version);
  const parsed = parseCommandLine(grammar, words);
  if (parsed.kind === 'version') {
    const status = await showFaults(home, await takeFaults(home, settings, '--version'));
    if (status !== null) return status;
    return write(`${settings.version}\n`);
  }
  if (parsed.kind === 'refused') return refuse(parsed);
  if (parsed.kind === 'printed') return write(parsed.stdout);
  if (parsed.kind === 'dump') return write(`${prettyJson(dumpHelp(grammar))}\n`);
  if (parsed.kind === 'unknown')
    return refuse(refusal(grammar, parsed.command, `Unexpected argument '${parsed.word}'`));
  return perform({ grammar, parsed, home, settings });
}

async function perform(call: Call): Promise<number> {
  const name = call.parsed.command.path.join(' ');
  const invalid = validate(call);
  if (invalid !== null) return refuse(invalid);
  const status = await showFaults(call.home, await takeFaults(call.home, call.settings, name));
  if (status !== null) return status;
  if (!WITHOUT_GARBAGE.includes(name)) collectGarbage(call.home);
  const verb = await findVerb(name);
  if (verb === null) throw notEmulated(name);
  return verb(call);
}

function refuse({ stderr, status }: Refused): number {
  process.stderr.write(stderr);
  return status;
}

function write(text: string): number {
  process.stdout.write(text);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof Trap) {
    process.stderr.write(`Swift/ContiguousArrayBuffer.swift: Fatal error: ${error.message}\n`);
    process.kill(process.pid, 'SIGTRAP');
  }
  const isExpected = error instanceof Failure;
  process.stderr.write(`${isExpected ? error.message : `Error: ${String(error)}`}\n`);
  process.exitCode = isExpected ? error.status : 70;
}
// Nothing waits for a process that was left to itself.
process.exit();
