/** The verbs on networks. */
import { argumentAt, type Call, hasFlag, optionValue, optionValues, print } from '../call.ts';
import { parseLabels } from '../creation.ts';
import { Failure } from '../failure.ts';
import { createNetwork, deleteNetwork, findNetwork, listNetworks, networkResource } from '../networks.ts';
import { compactJson, prettyJson, table } from '../output.ts';

export async function create(call: Call): Promise<number> {
  const { name } = createNetwork(call.home, {
    name: argumentAt(call, 0),
    mode: hasFlag(call, '--internal') ? 'hostOnly' : 'nat',
    subnet: optionValue(call, '--subnet'),
    labels: parseLabels(optionValues(call, '--label')),
  });
  print(name);
  return 0;
}

export async function list(call: Call): Promise<number> {
  const networks = listNetworks(call.home);
  if (hasFlag(call, '--quiet')) for (const { name } of networks) print(name);
  else if (optionValue(call, '--format') === 'json') {
    print(compactJson(networks.map((network) => networkResource(network, call.settings.version))));
  } else print(table([['NETWORK', 'SUBNET'], ...networks.map(({ name, subnet }) => [name, subnet])]));
  return 0;
}

export async function inspect(call: Call): Promise<number> {
  const found = call.parsed.arguments.map((name) => {
    const network = findNetwork(call.home, name);
    if (network === null) throw new Failure(`network ${name} not found`);
    return networkResource(network, call.settings.version);
  });
  print(prettyJson(found));
  return 0;
}

export async function remove(call: Call): Promise<number> {
  const all = listNetworks(call.home).map(({ name }) => name);
  const names = hasFlag(call, '--all') ? all.filter((name) => name !== 'default') : call.parsed.arguments;
  for (const name of names) {
    deleteNetwork(call.home, name);
    print(name);
  }
  return 0;
}
