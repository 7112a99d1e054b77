/** Turns the options of `create` and `run` into a container's configuration, with the tool's own checks. */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isNotAfter } from '../grammar/model.ts';
import { type Call, hasFlag, isOld, optionValue, optionValues } from './call.ts';
import { normalizeCapability } from './capabilities.ts';
import type { Configuration, ContainerRecord, Process, User } from './containers.ts';
import { Failure, notEmulated } from './failure.ts';
import { descriptorOf, type Image, nowDate } from './images.ts';
import { parseMounts } from './mounts.ts';
import { faultsNamed } from './settings.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const MAX_NAME = 63;
const MIN_MEMORY = 200 * 1024 * 1024;
const DEFAULT_MEMORY = 1024 * 1024 * 1024;
const UNITS = 'bkmgtp';

export function newRecord(call: Call, image: Image, words: readonly string[]): ContainerRecord {
  const id = optionValue(call, '--name') ?? randomUUID();
  if (!NAME.test(id) || id.length > MAX_NAME) throw new Failure(`invalid container ID ${id}`);
  const networks = parseNetworks(call);
  const configuration: Configuration = {
    id,
    image: { reference: image.reference, descriptor: descriptorOf(image) },
    mounts: parseMounts(call.home, {
      volumes: optionValues(call, '--volume'),
      mounts: optionValues(call, '--mount'),
      tmpfs: optionValues(call, '--tmpfs'),
    }),
    publishedPorts: optionValues(call, '--publish').map(parsePort),
    publishedSockets: [],
    labels: parseLabels(optionValues(call, '--label')),
    sysctls: {},
    networks,
    ...parseDns(call),
    rosetta: false,
    initProcess: initProcess(call, image, words),
    platform: {
      os: 'linux',
      architecture: image.architecture,
      ...(image.architecture === 'arm64' ? { variant: 'v8' } : {}),
    },
    resources: {
      cpus: Number(optionValue(call, '--cpus') ?? 4),
      memoryInBytes: parseMemory(call),
      cpuOverhead: 1,
    },
    runtimeHandler: optionValue(call, '--runtime') ?? 'container-runtime-linux',
    virtualization: hasFlag(call, '--virtualization'),
    ssh: hasFlag(call, '--ssh'),
    readOnly: hasFlag(call, '--read-only'),
    useInit: hasFlag(call, '--init'),
    capAdd: optionValues(call, '--cap-add').map(normalizeCapability),
    capDrop: optionValues(call, '--cap-drop').map(normalizeCapability),
    creationDate: nowDate(),
    ...(image.config.StopSignal === undefined ? {} : { stopSignal: image.config.StopSignal }),
    ...(optionValue(call, '--shm-size') === null
      ? {}
      : { shmSize: parseSize(optionValue(call, '--shm-size') ?? '') }),
    ...paths(call, '--masked-path', 'maskedPaths'),
    ...paths(call, '--read-only-path', 'readonlyPaths'),
  };
  return {
    configuration,
    imageRoot: image.root,
    layers: image.layers,
    isRemovedAtEnd: hasFlag(call, '--rm') || hasFlag(call, '--remove'),
  };
}

/** Only guests without a network are emulated: a test that forgets to ask for that must not pass. */
function parseNetworks(call: Call): readonly object[] {
  const asked = optionValues(call, '--network');
  for (const network of asked) {
    const [, ...properties] = network.split(',');
    const unknown = properties.find((property) => !/^(mac|mtu)=/.test(property));
    if (unknown !== undefined) throw new Failure(`unknown network property '${unknown.split('=')[0]}'`);
  }
  if (asked.includes('none') && asked.length > 1) {
    throw new Failure('no other networks may be specified along with --network none');
  }
  if (asked[0] === 'none' && isNotAfter(call.settings.version, '1.0.0') && !isOld(call)) {
    throw new Failure('network none not found');
  }
  if (asked[0] !== 'none') throw notEmulated(`a guest with the network ${asked[0] ?? 'default'}`);
  const lie = faultsNamed(call.settings, 'lying-network').length > 0;
  const hostname = optionValue(call, '--name') ?? 'guest';
  return lie ? [{ network: 'default', options: { hostname, mtu: 1280 } }] : [];
}

function parseDns(call: Call): { readonly dns?: NonNullable<Configuration['dns']> } {
  if (hasFlag(call, '--no-dns')) return {};
  const [lie] = faultsNamed(call.settings, 'lying-nameserver');
  const domain = optionValue(call, '--dns-domain');
  return {
    dns: {
      nameservers: lie === undefined ? optionValues(call, '--dns') : [lie.value ?? '192.0.2.53'],
      ...(domain === null ? {} : { domain }),
      searchDomains: optionValues(call, '--dns-search'),
      options: optionValues(call, '--dns-option'),
    },
  };
}

function parsePort(text: string): object {
  const match = /^(?:(\[[^\]]*\]|[^:]+):)?(\d+)(?:-\d+)?:(\d+)(?:-\d+)?(?:\/(tcp|udp))?$/i.exec(text);
  if (match === null) throw new Failure(`invalid publish value: ${text}`);
  const [, hostAddress = '0.0.0.0', hostPort, containerPort, proto = 'tcp'] = match;
  return { hostAddress, hostPort: Number(hostPort), containerPort: Number(containerPort), proto, count: 1 };
}

/** A second `=` is refused. */
export function parseLabels(texts: readonly string[]): Readonly<Record<string, string>> {
  const labels = texts.map((text): [string, string] => {
    const [key = '', value = '', ...rest] = text.split('=');
    if (key === '' || rest.length > 0) throw new Failure(`invalid label format ${text}`);
    return [key, value];
  });
  return Object.fromEntries(labels);
}

function parseMemory(call: Call): number {
  const text = optionValue(call, '--memory');
  if (text === null) return DEFAULT_MEMORY;
  const bytes = parseSize(text);
  if (bytes < MIN_MEMORY) throw new Failure(`minimum memory amount allowed is 200 MiB, got ${bytes} bytes`);
  return bytes;
}

export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([bkmgtp])(?:i?b)?)?$/i.exec(text);
  if (match === null) throw new Failure(`invalid memory value ${text}`);
  return Math.floor(Number(match[1]) * 1024 ** UNITS.indexOf((match[2] ?? 'b').toLowerCase()));
}

function paths(call: Call, option: string, key: 'maskedPaths' | 'readonlyPaths'): Partial<Configuration> {
  const given = optionValues(call, option);
  if (given.length === 0) return {};
  if (given.some((path) => path.toUpperCase() === 'NONE')) return { [key]: [] };
  return { [key]: given };
}

function initProcess(call: Call, image: Image, words: readonly string[]): Process {
  const entrypoint = optionValue(call, '--entrypoint');
  const { Entrypoint = [], Cmd = [] } = image.config;
  const before = entrypoint === null ? Entrypoint : entrypoint === '' ? [] : [entrypoint];
  const [executable, ...rest] = [...before, ...(words.length > 0 ? words : entrypoint === null ? Cmd : [])];
  if (executable === undefined) throw new Failure('command/entrypoint not specified for container process');
  return {
    executable,
    arguments: rest,
    environment: environmentOf(call, image.config.Env ?? []),
    workingDirectory: optionValue(call, '--cwd') ?? (image.config.WorkingDir || '/'),
    terminal: hasFlag(call, '--tty'),
    user: userOf(call, image.config.User || null),
    ...{
      supplementalGroups: supplementalGroups(call),
      rlimits: optionValues(call, '--ulimit').map(parseLimit),
    },
  };
}

/** The user of the options, or that of the image or container. */
export function userOf(call: Call, otherwise: string | null): User {
  const user = optionValue(call, '--user');
  if (user !== null) return { raw: { userString: user } };
  const uid = optionValue(call, '--uid');
  if (uid !== null) return { id: { uid: Number(uid), gid: Number(optionValue(call, '--gid') ?? 0) } };
  return otherwise === null ? { id: { uid: 0, gid: 0 } } : { raw: { userString: otherwise } };
}

/** `--gid` alone adds a group, and does not change the group. */
export function supplementalGroups(call: Call): readonly number[] {
  const gid = optionValue(call, '--gid');
  return gid === null || optionValue(call, '--user') !== null || optionValue(call, '--uid') !== null
    ? []
    : [Number(gid)];
}

/** Of the image's variables, those of the files, and those of the options, the last one of a name. */
export function environmentOf(call: Call, image: readonly string[]): readonly string[] {
  const byName = new Map<string, string>();
  for (const entry of image.filter((text) => text.includes('='))) byName.set(nameOf(entry), entry);
  for (const entry of givenEnvironment(call)) byName.set(nameOf(entry), entry);
  return [...byName.values()];
}

/** In order; a bare name takes the value of the tool's own environment, and is left out where there is none. */
export function givenEnvironment(call: Call): readonly string[] {
  const lines = optionValues(call, '--env-file').flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  );
  return [...lines, ...optionValues(call, '--env')].flatMap((entry) => {
    if (entry.includes('=')) return [entry];
    const own = process.env[entry];
    return own === undefined ? [] : [`${entry}=${own}`];
  });
}

function nameOf(entry: string): string {
  return entry.slice(0, entry.indexOf('='));
}

function parseLimit(text: string): Process['rlimits'][number] {
  const match = /^([a-z]+)=(\d+|unlimited|-1)(?::(\d+|unlimited|-1))?$/i.exec(text);
  if (match === null) throw new Failure(`invalid ulimit format: ${text}`);
  const [, type = '', soft = '', hard = soft] = match;
  const number = (value: string) => (/^\d+$/.test(value) ? Number(value) : Number.MAX_SAFE_INTEGER);
  return { limit: `RLIMIT_${type.toUpperCase()}`, soft: number(soft), hard: number(hard) };
}

/** A path of a host's file as the tool reads it. */
export function hostPath(text: string): string {
  const path = resolve(text);
  if (!existsSync(path)) throw new Failure(`path '${text}' does not exist`);
  return path;
}
