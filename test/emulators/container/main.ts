/** The program `container`, emulated: parses the command line, shows the faults asked for, does the verb. */
import { fileURLToPath } from 'node:url';
import { dumpHelp } from '../grammar/help.ts';
import { readGrammar } from '../grammar/model.ts';
import { parseCommandLine, type Refused, refusal } from '../grammar/parse.ts';
import type { Call } from './call.ts';
import { Failure, notEmulated } from './failure.ts';
import { showFaults, XPC_MESSAGE } from './faults.ts';
import { homeOf } from './home.ts';
import { prettyJson } from './output.ts';
import { isServerUp, versionLine } from './server.ts';
import { readSettings, takeFaults } from './settings.ts';
import { validate } from './validation.ts';
import { asksServer, findVerb } from './verbs.ts';

const GRAMMAR = fileURLToPath(new URL('grammar.json', import.meta.url));

async function main(words: readonly string[]): Promise<number> {
  const directory = process.env.HOME;
  if (directory === undefined || directory === '') throw new Error('HOME is not set');
  const home = homeOf(directory);
  const settings = readSettings(home);
  const grammar = readGrammar(GRAMMAR, 'container', settings.version);
  const parsed = parseCommandLine(grammar, words);
  const wholeLine = words.length === 1 && words[0] === '--version' ? '--version' : null;
  if (parsed.kind === 'version') {
    const status = await showFaults(home, await takeFaults(home, settings, wholeLine ?? '--version'));
    if (status !== null) return status;
    process.stdout.write(`${versionLine(settings.version)}\n`);
    return 0;
  }
  if (parsed.kind === 'refused') return refuse(parsed);
  if (parsed.kind === 'printed') return write(parsed.stdout);
  if (parsed.kind === 'dump') return write(`${prettyJson(dumpHelp(grammar))}\n`);
  if (parsed.kind === 'unknown') {
    const isTop = parsed.command.path.length === 0;
    const message = isTop
      ? `failed to find plugin named container-${parsed.word}`
      : `Unexpected argument '${parsed.word}'`;
    return refuse(refusal(grammar, parsed.command, message));
  }
  return perform({ grammar, parsed, home, settings });
}

async function perform(call: Call): Promise<number> {
  const name = call.parsed.command.path.join(' ');
  const invalid = validate(call);
  if (invalid !== null) return refuse(invalid);
  const status = await showFaults(call.home, await takeFaults(call.home, call.settings, name));
  if (status !== null) return status;
  if (asksServer(name) && !isServerUp(call)) throw new Failure(XPC_MESSAGE);
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

/** Until a process is attached, a signal ends the call as a shell tells it. */
for (const [name, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.on(name, () => process.exit(128 + number));
}

/** What is printed arrives, however slowly it is read; a reader that is gone does not matter. */
function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.on('error', () => resolve());
    stream.write('', () => resolve());
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isExpected = error instanceof Failure;
  process.stderr.write(`Error: ${isExpected ? error.message : String(error)}\n`);
  process.exitCode = isExpected ? error.status : 70;
}
await Promise.all([flush(process.stdout), flush(process.stderr)]);
// Nothing waits for a process that was left to itself.
process.exit();
