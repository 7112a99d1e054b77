/** `sand volume`: what it prints. Listing and removing are the keeper's of the backend, see `controller/volumes/keeping.ts`. */
import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { type Column, formatColumns, PLAIN } from '../../audit/columns.ts';
import { escapeTerminal } from '../../audit/escape.ts';
import { volumeKeeperOf } from '../backends/registry.ts';
import { PROJECT_FILE_NAME } from '../project-file/model.ts';
import { findUpward } from '../run/found-file.ts';
import { workingFolder } from '../run/workspace.ts';
import { findVolume, type KeptVolume, type VolumeSurroundings } from '../volumes/keeping.ts';

export interface VolumeContext {
  readonly backend: string;
  readonly json: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly write: (text: string) => void;
}

export async function volumeList(context: VolumeContext): Promise<number> {
  const { backend, json, write } = context;
  const keeper = await volumeKeeperOf(backend);
  const volumes = await keeper.list(surroundings(context));
  if (json) write(`${JSON.stringify(volumes)}\n`);
  else write(volumes.length === 0 ? `no volume is kept for ${backend}\n` : formatVolumes(volumes));
  return 0;
}

const COLUMNS: readonly Column<KeptVolume>[] = [
  { align: 'left', title: 'name', cell: ({ label }) => label },
  { align: 'left', title: 'project', cell: ({ project }) => project },
  { align: 'left', title: 'made', cell: ({ date }) => date },
  { align: 'left', title: 'volume', cell: ({ name }) => name },
];

function formatVolumes(volumes: readonly KeptVolume[]): string {
  return formatColumns(COLUMNS, volumes, PLAIN);
}

/** Nothing is removed unless all of them are known. */
export async function volumeRemove(names: readonly string[], context: VolumeContext): Promise<number> {
  const where = surroundings(context);
  const keeper = await volumeKeeperOf(context.backend);
  const volumes = await keeper.list(where);
  const project = projectFolder();
  const found = [...new Set(names.map((name) => findVolume(volumes, name, project)))];
  for (const { name } of found) await keeper.remove(name, where);
  if (context.json) context.write(`${JSON.stringify(found)}\n`);
  else
    for (const { label, project: of } of found)
      context.write(`removed ${escapeTerminal(label)} of ${escapeTerminal(of)}\n`);
  return 0;
}

/** Whose volumes a run here would have. */
function projectFolder(): string {
  const cwd = workingFolder();
  const found = findUpward(cwd, PROJECT_FILE_NAME);
  return realpathSync.native(found === null ? cwd : dirname(found.path));
}

function surroundings({ env }: VolumeContext): VolumeSurroundings {
  return { home: env.HOME ?? homedir(), environ: env };
}
