/**
 * What Apple's `container` prints, as values: the shapes of 1.x, and those of 0.x as far as they differ. What is not
 * there or reads otherwise is null, and whoever asked refuses. Pure.
 */
import type { ToolVersion } from './version.ts';
import { parseVersion } from './version.ts';

export interface ContainerFacts {
  readonly id: string;
  readonly state: string;
  /** Of its configuration and, once it runs, of its status. */
  readonly networks: number;
  readonly publishedPorts: number;
  readonly publishedSockets: number;
  readonly nameservers: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly imageDigest: string | null;
  /** Names of the tool's volumes that are mounted. */
  readonly volumes: readonly string[];
  /** `arm64` or `amd64`, of the image. */
  readonly architecture: string | null;
  /** Whether the caller's SSH agent is relayed into it. */
  readonly ssh: boolean;
}

/** Null where it is no list of containers that all read. */
export function parseContainers(text: string): readonly ContainerFacts[] | null {
  const list = parseList(text);
  const facts = list?.map(parseContainer) ?? null;
  return facts === null || facts.includes(null) ? null : facts.filter((one) => one !== null);
}

function parseContainer(value: unknown): ContainerFacts | null {
  const whole = record(value);
  const configuration = record(whole?.configuration);
  const id = configuration?.id;
  if (whole === null || configuration === null || typeof id !== 'string') return null;
  const status = record(whole.status);
  // 0.x: the state itself, and what is attached beside it.
  const state = status === null ? whole.status : status.state;
  const attached = status === null ? whole.networks : status.networks;
  const configured = list(configuration.networks);
  const image = record(configuration.image);
  if (typeof state !== 'string' || configured === null) return null;
  const { digest } = record(image?.descriptor) ?? {};
  const { architecture } = record(configuration.platform) ?? {};
  return {
    id,
    state,
    networks: Math.max(configured.length, list(attached)?.length ?? 0),
    publishedPorts: list(configuration.publishedPorts)?.length ?? 0,
    publishedSockets: list(configuration.publishedSockets)?.length ?? 0,
    nameservers: texts(record(configuration.dns)?.nameservers),
    labels: textRecord(configuration.labels),
    imageDigest: typeof digest === 'string' ? digest : null,
    volumes: (list(configuration.mounts) ?? []).flatMap(parseVolumeName),
    architecture: typeof architecture === 'string' ? architecture : null,
    // Fail closed: anything but a plain no counts as yes.
    ssh: configuration.ssh !== undefined && configuration.ssh !== false,
  };
}

/** Its name lies below the kind of the mount. */
function parseVolumeName(mount: unknown): readonly string[] {
  const { name } = record(record(record(mount)?.type)?.volume) ?? {};
  return typeof name === 'string' ? [name] : [];
}

/** Of `system status`; null where it does not read. */
export function parseSystemStatus(text: string): { readonly status: string } | null {
  const { status } = record(parseJson(text)) ?? {};
  return typeof status === 'string' ? { status } : null;
}

/** Of `system version`: the tool's own, and its server's where that runs. Null where they do not read. */
export function parseSystemVersions(
  text: string,
): { readonly tool: ToolVersion; readonly server: ToolVersion | null } | null {
  const rows = parseList(text)?.map(record) ?? [];
  const versionOf = (wanted: string) => {
    const row = rows.find((one) => one?.appName === wanted);
    return typeof row?.version === 'string' ? parseVersion(row.version) : null;
  };
  const tool = versionOf('container');
  return tool === null ? null : { tool, server: versionOf('container-apiserver') };
}

export interface ImageVariant {
  readonly architecture: string;
  /** As the image specification has it, for `parseImageConfig`. */
  readonly config: string;
}

export interface ImageFacts {
  readonly name: string;
  /** Of the index or manifest that the name means. */
  readonly digest: string;
  /** When it was made, by the tool's word; empty where it says nothing. */
  readonly date: string;
  /** For Linux; attestations and the like left out. */
  readonly variants: readonly ImageVariant[];
}

/** Of `image inspect` and `image ls`. Null where they do not read. */
export function parseImages(text: string): readonly ImageFacts[] | null {
  const facts = parseList(text)?.map(parseImage) ?? null;
  return facts === null || facts.includes(null) ? null : facts.filter((one) => one !== null);
}

function parseImage(value: unknown): ImageFacts | null {
  const whole = record(value);
  const configuration = record(whole?.configuration) ?? whole;
  const { digest } = record(configuration?.descriptor) ?? {};
  const name = configuration?.name;
  const date = configuration?.creationDate;
  const variants = list(whole?.variants) ?? [];
  if (typeof name !== 'string' || typeof digest !== 'string') return null;
  return {
    name,
    digest,
    date: typeof date === 'string' ? date : '',
    variants: variants.map(parseVariant).filter((one) => one !== null),
  };
}

function parseVariant(value: unknown): ImageVariant | null {
  const whole = record(value);
  const { os, architecture } = record(whole?.platform) ?? {};
  if (os !== 'linux' || typeof architecture !== 'string') return null;
  return { architecture, config: JSON.stringify(whole?.config ?? {}) };
}

/** What the tool complains of, without its prefix; an empty text where it says nothing. One line. */
export function parseComplaint(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const line = lines.find((one) => one.startsWith('Error:')) ?? lines.find((one) => one !== '') ?? '';
  return line.replace(/^Error:\s*/, '').slice(0, COMPLAINT_LENGTH);
}

/** The last of its complaints behind output of another kind; empty where there is none. */
export function parseFinalComplaint(stderr: string): string {
  const lines = stderr.split(/[\n\r]/).map((line) => line.trim());
  const line = lines.findLast((one) => one.startsWith('Error:')) ?? '';
  return line.replace(/^Error:\s*/, '').slice(0, COMPLAINT_LENGTH);
}

export interface VolumeFacts {
  readonly name: string;
  readonly date: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Of `volume ls`. Null where it does not read. */
export function parseVolumes(text: string): readonly VolumeFacts[] | null {
  const facts = parseList(text)?.map(parseVolume) ?? null;
  return facts === null || facts.includes(null) ? null : facts.filter((one) => one !== null);
}

function parseVolume(value: unknown): VolumeFacts | null {
  const whole = record(value);
  const configuration = record(whole?.configuration) ?? whole;
  const { name, creationDate, labels } = configuration ?? {};
  if (typeof name !== 'string') return null;
  return { name, date: typeof creationDate === 'string' ? creationDate : '', labels: textRecord(labels) };
}

const COMPLAINT_LENGTH = 500;

function parseList(text: string): readonly unknown[] | null {
  return list(parseJson(text));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function list(value: unknown): readonly unknown[] | null {
  return Array.isArray(value) ? value : null;
}

function record(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
}

function texts(value: unknown): readonly string[] {
  return list(value)?.filter((one) => typeof one === 'string') ?? [];
}

function textRecord(value: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(record(value) ?? {});
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
