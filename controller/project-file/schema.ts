/**
 * The shape of a `sand.yaml` as a JSON Schema for editors. What decides at run time is `decode.ts`, which says more about
 * a mistake; a test holds the two together.
 */
import { ISOLATIONS, SHARES } from '../backends/backend.ts';
import { PROJECT_LIMITS } from './limits.ts';

/** An unquoted number or word is read as it is written. */
const written = { type: ['string', 'number', 'boolean'], maxLength: PROJECT_LIMITS.textCharacters } as const;
const line = {
  type: ['string', 'number', 'boolean'],
  minLength: 1,
  maxLength: PROJECT_LIMITS.textCharacters,
} as const;
const path = { ...line, pattern: '^[^~$][^$]*$' } as const;
const mountPath = { ...line, pattern: '^[^~$:][^$:]*$' } as const;

const oneOrMore = (item: object, description: string) => ({
  anyOf: [item, { type: 'array', items: item, minItems: 1, maxItems: PROJECT_LIMITS.entries }],
  description,
});
const map = (properties: object, rest: object = {}) => ({
  type: 'object',
  properties,
  ...rest,
  additionalProperties: false,
});

const mount = {
  anyOf: [
    { ...path, description: 'SRC[:DST][:ro]' },
    map(
      {
        source: mountPath,
        target: { ...mountPath, pattern: '^/[^$:]*$' },
        readOnly: { type: 'boolean' },
      },
      { required: ['source'] },
    ),
  ],
};

const build = {
  anyOf: [
    { ...path, description: 'The Dockerfile.' },
    map({ file: path, context: path }, { required: ['file'] }),
  ],
  description:
    'The Dockerfile that the root file system is built from, outside the policy, and the folder that it copies from.',
};

const environment = {
  anyOf: [
    {
      type: 'object',
      propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
      additionalProperties: written,
      maxProperties: PROJECT_LIMITS.words,
    },
    { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*(=[\\s\\S]*)?$' },
    {
      type: 'array',
      items: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*(=[\\s\\S]*)?$' },
      minItems: 1,
      maxItems: PROJECT_LIMITS.entries,
    },
  ],
  description: 'Variables: a map of NAME to value, or a list of NAME=VALUE and, for your own value, NAME.',
};

/** JSON Schema (2020-12) for editors. */
export function projectJsonSchema(): unknown {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'sand project file',
    description: 'The guest of a folder. Paths are relative to the file.',
    ...map(PROPERTIES, { required: ['version'] }),
  };
}

const PROPERTIES = {
  version: { const: 1 },
  name: {
    type: 'string',
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
    maxLength: PROJECT_LIMITS.nameCharacters,
    description: 'What the guest is called.',
  },
  backend: { ...line, description: 'What launches the guest.' },
  image: { ...path, description: 'The root file system: a path that begins with / or ., or a reference.' },
  build,
  platform: { ...line, description: 'The processor that the image is for: linux/arm64, linux/amd64.' },
  isolation: { enum: [...ISOLATIONS], description: 'What stands between the guest and the host.' },
  user: { ...line, description: 'UID[:GID] that the command runs as.' },
  readOnly: { type: 'boolean', description: 'Whether the root file system of the guest is read-only.' },
  policy: oneOrMore(path, 'Presets, group:NAME, or policy files; several are a union.'),
  mounts: oneOrMore(mount, 'What the guest gets instead of the working directory.'),
  volumes: oneOrMore(
    { ...path, pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}:[^~$:][^$:]*$' },
    'Folders of no host that are kept for the next guest: NAME:PATH.',
  ),
  workdir: { ...line, pattern: '^/', description: 'Working directory, as the guest sees it.' },
  environment,
  shares: oneOrMore({ enum: [...SHARES] }, 'What of the caller the guest gets by name.'),
  secrets: oneOrMore(
    { type: 'string', pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]*=[^~$][^$]*$' },
    'Secrets as files in the guest: NAME=FILE, or NAME=env:VARIABLE.',
  ),
  ports: oneOrMore(line, 'Published ports, HOST:GUEST.'),
  trustCa: oneOrMore(path, 'Certificate authorities (PEM) that the guest trusts as well.'),
  cache: { type: 'boolean', description: 'Whether package caches are kept for the next run.' },
  resources: {
    ...map({ cpus: line, memory: line, pids: line, disk: line }),
    description: 'What the guest may use.',
  },
  timeout: { ...line, description: 'When the command is ended: 90s, 10m, 2h.' },
  phaseAfter: oneOrMore(line, 'Shell texts that run before the command, each ending a phase of the policy.'),
  command: {
    type: 'array',
    items: written,
    minItems: 1,
    maxItems: PROJECT_LIMITS.words,
    description: 'The words of the command that runs where none stands behind --.',
  },
};
