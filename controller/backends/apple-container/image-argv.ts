/** Every argument list for images and volumes that Apple's `container` is run with; names stand behind `--`, or attached. Pure. */

export const IMAGE_LIST = ['image', 'ls', '--format', 'json'] as const;
export const VOLUME_LIST = ['volume', 'ls', '--format', 'json'] as const;

export function planImageInspect(reference: string): readonly string[] {
  return ['image', 'inspect', '--', reference];
}

/** Lines of progress: its other forms draw on a terminal, and what it says is read here as well. */
export function planImagePull(reference: string, platform: string): readonly string[] {
  return ['image', 'pull', '--platform', platform, '--progress', 'plain', '--', reference];
}

export function planImageDelete(references: readonly string[]): readonly string[] {
  return ['image', 'delete', '--', ...references];
}

/** An archive in the form of the OCI image layout. */
export function planImageLoad(path: string): readonly string[] {
  return ['image', 'load', '--input', path];
}

export interface ImageBuild {
  readonly tag: string;
  readonly platform: string;
  /** Absolute. */
  readonly dockerfile: string;
  readonly context: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** No secret and no agent: neither is handed to a builder that no policy holds. */
export function planImageBuild({
  tag,
  platform,
  dockerfile,
  context,
  labels,
}: ImageBuild): readonly string[] {
  return [
    'build',
    ...['--tag', tag, '--platform', platform, '--file', dockerfile, '--progress', 'plain'],
    ...planLabels(labels),
    ...['--', context],
  ];
}

export function planVolumeCreate(name: string, labels: Readonly<Record<string, string>>): readonly string[] {
  return ['volume', 'create', ...planLabels(labels), '--', name];
}

export function planVolumeDelete(name: string): readonly string[] {
  return ['volume', 'delete', '--', name];
}

/** The tool refuses a second `=` in a value. */
function planLabels(labels: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${encodeURIComponent(value)}`]);
}
