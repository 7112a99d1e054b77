/** The verbs that tell of containers. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { argumentAt, type Call, hasFlag, isOld, optionValue, print } from '../call.ts';
import { findContainer, listContainers, requireContainer } from '../containers.ts';
import { Failure } from '../failure.ts';
import { isMissing } from '../home.ts';
import { compactJson, prettyJson, table } from '../output.ts';
import { containerResource } from '../resources.ts';

const FOLLOW_MS = 50;
/** Nobody follows a log for a day. */
const FOLLOW_ROUNDS = 24 * 3600 * 20;

export async function list(call: Call): Promise<number> {
  const { version } = call.settings;
  const shown = listContainers(call.home).filter(({ running }) => running !== null || hasFlag(call, '--all'));
  if (hasFlag(call, '--quiet')) {
    for (const { id } of shown) print(id);
    return 0;
  }
  if (optionValue(call, '--format') === 'json') {
    print(compactJson(shown.map((container) => containerResource(container, version))));
    return 0;
  }
  const rows = shown.map(({ id, configuration, running }) => [
    ...[id, configuration.image.reference, 'linux', process.arch],
    ...[running === null ? 'stopped' : 'running', '', String(configuration.resources.cpus)],
    `${configuration.resources.memoryInBytes / 1024 / 1024} MB`,
  ]);
  print(table([['ID', 'IMAGE', 'OS', 'ARCH', 'STATE', 'IP', 'CPUS', 'MEMORY'], ...rows]));
  return 0;
}

export async function inspect(call: Call): Promise<number> {
  const ids = call.parsed.arguments;
  const found = ids.flatMap((id) => findContainer(call.home, id) ?? []);
  if (found.length < ids.length && !isOld(call)) {
    const missing = ids.filter((id) => !found.some((container) => container.id === id));
    throw new Failure(`container not found: ${missing.join(', ')}`);
  }
  const resources = found.map((container) => containerResource(container, call.settings.version));
  print(isOld(call) ? compactJson(resources) : prettyJson(resources));
  return 0;
}

export async function logs(call: Call): Promise<number> {
  const { folder } = requireContainer(call.home, argumentAt(call, 0));
  const read = () => readLog(join(folder, hasFlag(call, '--boot') ? 'boot.log' : 'stdio.log'));
  let text = read();
  const count = optionValue(call, '-n');
  process.stdout.write(count === null ? text : lastLines(text, Number(count)));
  if (!hasFlag(call, '--follow')) return 0;
  // It never ends, also after the container has.
  for (let round = 0; round < FOLLOW_ROUNDS; round += 1) {
    await delay(FOLLOW_MS);
    const now = read();
    process.stdout.write(now.slice(text.length));
    text = now;
  }
  return 0;
}

function readLog(file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    if (isMissing(error)) return '';
    throw new Failure('failed to convert log to utf8');
  }
}

function lastLines(text: string, count: number): string {
  const lines = text.split('\n');
  const last = lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  return count === 0
    ? ''
    : last
        .slice(-count)
        .map((line) => `${line}\n`)
        .join('');
}
