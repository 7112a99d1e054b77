/** Networks as the tool keeps account of them: no guest is ever attached to one. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from './failure.ts';
import { type Home, isMissing, isPresent, readJson, writeJson } from './home.ts';
import { nowDate } from './images.ts';
import { referenceSeconds } from './output.ts';

export interface Network {
  readonly name: string;
  readonly creationDate: string;
  readonly mode: 'nat' | 'hostOnly';
  readonly subnet: string;
  readonly labels: Readonly<Record<string, string>>;
}

const NAME = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;
const DEFAULT: Network = {
  name: 'default',
  creationDate: '2026-01-01T00:00:00Z',
  mode: 'nat',
  subnet: '192.168.64.0/24',
  labels: { 'com.apple.container.resource.role': 'builtin' },
};

export function createNetwork(
  home: Home,
  asked: Omit<Network, 'creationDate' | 'subnet'> & { subnet: string | null },
): Network {
  const { name } = asked;
  if (!NAME.test(name) || name === 'none') throw new Failure(`invalid network name: ${name}`);
  const others = listNetworks(home);
  if (others.some((other) => other.name === name)) throw new Failure(`network ${name} already exists`);
  const subnet = asked.subnet ?? `192.168.${64 + others.length}.0/24`;
  const overlapping = others.find((other) => overlaps(other.subnet, subnet));
  if (overlapping !== undefined) {
    throw new Failure(`subnet ${subnet} overlaps an existing network with subnet ${overlapping.subnet}`);
  }
  mkdirSync(home.networks, { recursive: true });
  try {
    mkdirSync(join(home.networks, name));
  } catch (error) {
    if (isPresent(error)) throw new Failure(`network ${name} already exists`);
    throw error;
  }
  const network = { ...asked, subnet, creationDate: nowDate() };
  writeJson(join(home.networks, name, 'network.json'), network);
  return network;
}

function overlaps(a: string, b: string): boolean {
  const [first, second] = [rangeOf(a), rangeOf(b)];
  return first[0] <= second[1] && second[0] <= first[1];
}

function rangeOf(subnet: string): readonly [number, number] {
  const [address = '', length = '32'] = subnet.split('/');
  const size = 2 ** (32 - Number(length));
  const first =
    Math.floor(address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) / size) * size;
  return [first, first + size - 1];
}

export function findNetwork(home: Home, name: string): Network | null {
  if (name === DEFAULT.name) return DEFAULT;
  return NAME.test(name) ? readJson<Network>(join(home.networks, name, 'network.json')) : null;
}

export function listNetworks(home: Home): readonly Network[] {
  try {
    return [DEFAULT, ...readdirSync(home.networks).flatMap((name) => findNetwork(home, name) ?? [])];
  } catch (error) {
    if (isMissing(error)) return [DEFAULT];
    throw error;
  }
}

export function deleteNetwork(home: Home, name: string): void {
  if (name === DEFAULT.name) throw new Failure('cannot delete a system network: default');
  if (findNetwork(home, name) === null) throw new Failure(`network ${name} not found`);
  rmSync(join(home.networks, name), { recursive: true, force: true });
}

export function networkResource(
  { name, creationDate, mode, subnet, labels }: Network,
  version: string,
): unknown {
  const gateway = subnet.replace(/\d+\/\d+$/, '1');
  const status = { ipv4Subnet: subnet, ipv4Gateway: gateway };
  if (version.startsWith('0.')) {
    const config = { id: name, mode, labels, creationDate: referenceSeconds(creationDate) };
    return { id: name, state: 'running', config, status };
  }
  const plugin = 'container-network-vmnet';
  const configuration = { name, creationDate, mode, labels, plugin, options: {} };
  return {
    id: name,
    configuration: name === DEFAULT.name ? configuration : { ...configuration, ipv4Subnet: subnet },
    status,
  };
}
