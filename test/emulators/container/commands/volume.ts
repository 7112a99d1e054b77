/** The verbs on volumes. */
import { argumentAt, type Call, hasFlag, optionValue, optionValues, print } from '../call.ts';
import { parseLabels, parseSize } from '../creation.ts';
import { Failure } from '../failure.ts';
import { compactJson, prettyJson, table } from '../output.ts';
import { createVolume, deleteVolume, findVolume, listVolumes, volumeResource } from '../volumes.ts';

export async function create(call: Call): Promise<number> {
  const size = optionValue(call, '-s');
  const labels = parseLabels(optionValues(call, '--label'));
  const { name } = createVolume(
    call.home,
    argumentAt(call, 0),
    labels,
    size === null ? undefined : parseSize(size),
  );
  print(name);
  return 0;
}

export async function list(call: Call): Promise<number> {
  const volumes = listVolumes(call.home);
  if (hasFlag(call, '--quiet')) for (const { name } of volumes) print(name);
  else if (optionValue(call, '--format') === 'json') print(compactJson(volumes.map(volumeResource)));
  else {
    const rows = volumes.map(({ name }) => [name, 'named', 'local', '']);
    print(table([['NAME', 'TYPE', 'DRIVER', 'OPTIONS'], ...rows]));
  }
  return 0;
}

export async function inspect(call: Call): Promise<number> {
  const found = call.parsed.arguments.map((name) => {
    const volume = findVolume(call.home, name);
    if (volume === null) throw new Failure(`volume '${name}' not found`);
    return volumeResource(volume);
  });
  print(prettyJson(found));
  return 0;
}

export async function remove(call: Call): Promise<number> {
  const all = listVolumes(call.home).map(({ name }) => name);
  for (const name of hasFlag(call, '--all') ? all : call.parsed.arguments) {
    deleteVolume(call.home, name);
    print(name);
  }
  return 0;
}
