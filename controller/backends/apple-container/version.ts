/** Which versions of Apple's `container` can hold a guest: text that it prints → verdict. Sources of the figures in docs/apple-container.md. Pure. */

export interface ToolVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** Below it a socket's owner, masked paths or `--network none` itself are not as the design needs them. */
export const FLOOR: ToolVersion = { major: 1, minor: 2, patch: 1 };

/** The most of it that is looked at. */
const LINE_LENGTH = 200;

/** Of `container CLI version 1.2.2 (build: release, commit: 0190097)`; null where it is not that tool's line. */
export function parseVersionLine(text: string): ToolVersion | null {
  const line = text.slice(0, LINE_LENGTH);
  const match = /^container(?: CLI|-apiserver)? version (\d{1,4})\.(\d{1,4})\.(\d{1,4})\b/m.exec(line);
  return match === null ? null : numbers(match.slice(1));
}

/** A bare `1.2.2`, or a whole line. */
export function parseVersion(text: string): ToolVersion | null {
  const bare = /^(\d{1,4})\.(\d{1,4})\.(\d{1,4})$/.exec(text.trim());
  return bare === null ? parseVersionLine(text) : numbers(bare.slice(1));
}

function numbers([major, minor, patch]: readonly string[]): ToolVersion {
  return { major: Number(major), minor: Number(minor), patch: Number(patch) };
}

export function isBelow(version: ToolVersion, than: ToolVersion): boolean {
  const [one, other] = [version, than].map(({ major, minor, patch }) => [major, minor, patch]);
  const at = one?.findIndex((number, place) => number !== other?.[place]) ?? -1;
  return at >= 0 && (one?.[at] ?? 0) < (other?.[at] ?? 0);
}

export function formatVersion({ major, minor, patch }: ToolVersion): string {
  return `${major}.${minor}.${patch}`;
}
