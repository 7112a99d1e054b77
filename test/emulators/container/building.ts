/**
 * Builds an image from a Dockerfile in the way that the tool's builder does for whoever looks at the result: one layer over the base,
 * and RUN with the network of the host, since the real builder has full egress. How steps run is the runtime's.
 */
import { createHash, randomUUID } from 'node:crypto';
import { globSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, isAbsolute, join, posix, resolve } from 'node:path';
import { commandOf, expand, type Instruction, pairsOf } from './dockerfile.ts';
import { Failure, notEmulated } from './failure.ts';
import type { Home } from './home.ts';
import { type Image, type ImageConfig, nowDate } from './images.ts';

export interface BuildStep {
  readonly root: string;
  readonly layers: readonly string[];
  /** The folder that the step's changes go to. */
  readonly upper: string;
  /** Scratch for putting the root together. */
  readonly workFolder: string;
  readonly user: string;
  readonly environment: readonly string[];
  readonly workingDirectory: string;
}

/** What building needs of a runtime. */
export interface Builder {
  /** In the image; resolves to the status. */
  run(step: BuildStep, words: readonly string[]): Promise<number>;
  /** Copies paths of the host to a path in the image. */
  copy(step: BuildStep, sources: readonly string[], destination: string): Promise<void>;
}

export interface BuildRequest {
  readonly home: Home;
  readonly context: string;
  readonly instructions: readonly Instruction[];
  readonly arguments: ReadonlyMap<string, string>;
  readonly labels: Readonly<Record<string, string>>;
  readonly obtain: (reference: string) => Promise<Image>;
  readonly builder: Builder;
  readonly report: (line: string) => void;
}

interface Stage {
  readonly image: Image;
  readonly config: Writable<ImageConfig>;
  readonly values: Map<string, string>;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Its name is left to the caller. */
export async function buildImage(request: BuildRequest): Promise<Omit<Image, 'reference'>> {
  const { home, instructions } = request;
  const scratch = join(home.images, `build-${randomUUID()}`);
  const upper = join(scratch, 'layer');
  const workFolder = join(scratch, 'guest');
  for (const folder of [upper, workFolder]) mkdirSync(folder, { recursive: true });
  try {
    const stage = await runInstructions(request, upper, workFolder);
    const recipe = JSON.stringify([stage.image.digest, instructions, stage.config, [...request.arguments]]);
    const hex = createHash('sha256').update(recipe).digest('hex');
    const layer = join(home.images, hex, 'layer');
    rmSync(join(home.images, hex), { recursive: true, force: true });
    mkdirSync(join(home.images, hex), { recursive: true });
    renameSync(upper, layer);
    const { root, layers, architecture, size } = stage.image;
    const created = nowDate();
    return {
      digest: `sha256:${hex}`,
      created,
      size,
      architecture,
      config: stage.config,
      root,
      layers: [layer, ...layers],
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function runInstructions(request: BuildRequest, upper: string, workFolder: string): Promise<Stage> {
  let stage: Stage | null = null;
  const values = new Map(request.arguments);
  for (const [at, instruction] of request.instructions.entries()) {
    request.report(
      `#${at + 1} [${at + 1}/${request.instructions.length}] ${instruction.name} ${instruction.rest}`,
    );
    if (instruction.name === 'FROM') {
      if (stage !== null) throw notEmulated('a build of several stages');
      const image = await request.obtain(expand(instruction.rest.split(/\s+/)[0] ?? '', values));
      const labels = { ...image.config.Labels, ...request.labels };
      stage = { image, config: { ...image.config, Labels: labels }, values: environmentMap(image, values) };
    } else if (stage === null) {
      if (instruction.name !== 'ARG')
        throw new Failure('dockerfile parse error: no build stage in current context');
      setArgument(instruction, values, request.arguments);
    } else await follow(request, instruction, stage, { upper, workFolder });
  }
  if (stage === null) throw new Failure('dockerfile parse error: file with no instructions');
  return stage;
}

function environmentMap(image: Image, values: ReadonlyMap<string, string>): Map<string, string> {
  const environment = (image.config.Env ?? []).map((entry): [string, string] => {
    const at = entry.indexOf('=');
    return [entry.slice(0, at), entry.slice(at + 1)];
  });
  return new Map([...values, ...environment]);
}

function setArgument(
  { rest }: Instruction,
  values: Map<string, string>,
  given: ReadonlyMap<string, string>,
): void {
  const [name = '', ...otherwise] = rest.split('=');
  const value = given.get(name) ?? (otherwise.length === 0 ? null : expand(otherwise.join('='), values));
  if (value !== null) values.set(name, value.replace(/^(["'])(.*)\1$/, '$2'));
}

async function follow(
  request: BuildRequest,
  instruction: Instruction,
  stage: Stage,
  folders: { readonly upper: string; readonly workFolder: string },
): Promise<void> {
  const { name, rest } = instruction;
  const { config, values } = stage;
  const expanded = expand(rest, values);
  if (name === 'RUN') return runCommand(request, stage, folders, rest);
  if (name === 'COPY' || name === 'ADD') return copyFiles(request, instruction, stage, folders, expanded);
  if (name === 'ARG') setArgument(instruction, values, request.arguments);
  else if (name === 'ENV') setEnvironment(stage, expanded);
  else if (name === 'LABEL') config.Labels = { ...config.Labels, ...Object.fromEntries(pairsOf(expanded)) };
  else if (name === 'USER') config.User = expanded;
  else if (name === 'WORKDIR') {
    config.WorkingDir = posix.resolve(config.WorkingDir || '/', expanded);
    // It exists from here on.
    await request.builder.copy(stepOf(stage, folders), [], config.WorkingDir);
  } else if (name === 'CMD') config.Cmd = commandOf(rest);
  else if (name === 'STOPSIGNAL') config.StopSignal = expanded;
  else if (name === 'ENTRYPOINT') {
    config.Entrypoint = commandOf(rest);
    config.Cmd = [];
  } else if (name !== 'EXPOSE' && name !== 'VOLUME') throw notEmulated(`${name} in a Dockerfile`);
}

function setEnvironment({ config, values }: Stage, expanded: string): void {
  for (const [name, value] of pairsOf(expanded)) {
    values.set(name, value);
    config.Env = [...(config.Env ?? []).filter((entry) => !entry.startsWith(`${name}=`)), `${name}=${value}`];
  }
}

function stepOf(
  { image, config, values }: Stage,
  { upper, workFolder }: { readonly upper: string; readonly workFolder: string },
): BuildStep {
  const environment = [...values].map(([name, value]) => `${name}=${value}`);
  const { root, layers } = image;
  return {
    root,
    layers,
    upper,
    workFolder,
    user: config.User ?? '',
    environment,
    workingDirectory: config.WorkingDir || '/',
  };
}

async function runCommand(
  request: BuildRequest,
  stage: Stage,
  folders: { readonly upper: string; readonly workFolder: string },
  rest: string,
): Promise<void> {
  const status = await request.builder.run(stepOf(stage, folders), commandOf(rest));
  if (status !== 0)
    throw new Failure(`process "${rest}" did not complete successfully: exit code: ${status}`);
}

async function copyFiles(
  request: BuildRequest,
  { name, flags }: Instruction,
  stage: Stage,
  folders: { readonly upper: string; readonly workFolder: string },
  expanded: string,
): Promise<void> {
  if (Object.keys(flags).length > 0) throw notEmulated(`${name} with --${Object.keys(flags).join(', --')}`);
  const words = expanded.startsWith('[') ? commandOf(expanded) : expanded.split(/\s+/);
  const patterns = words.slice(0, -1);
  const sources = patterns.flatMap((pattern) => sourcesOf(request.context, pattern));
  const last = words.at(-1) ?? '/';
  const destination = posix.resolve(stage.config.WorkingDir || '/', last);
  await request.builder.copy(
    stepOf(stage, folders),
    sources,
    last.endsWith('/') || last === '.' ? `${destination}/` : destination,
  );
}

/** Nothing outside the context; of a folder its content. */
function sourcesOf(context: string, pattern: string): readonly string[] {
  const relative = isAbsolute(pattern) ? pattern.slice(1) : pattern;
  const found = globSync(relative === '' ? '.' : relative, { cwd: context });
  if (found.length === 0) throw new Failure(`failed to compute cache key: "/${relative}": not found`);
  return found.map((path) => {
    const full = resolve(context, path);
    if (full !== resolve(context) && !full.startsWith(`${resolve(context)}/`)) {
      throw new Failure(`forbidden path outside the build context: ${basename(path)}`);
    }
    return full;
  });
}
