/** Which versions of Tart and of Softnet sand works with: text that they print → verdict. Pure. */

export interface ToolVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** The first with everything that is relied on, the hand-over to softnet and `exec` among it; see docs/tart.md. */
export const TART_FLOOR: ToolVersion = { major: 2, minor: 34, patch: 0 };
/** Its rules are read and modelled from here on; only where a guest is on stock Softnet. */
export const SOFTNET_FLOOR: ToolVersion = { major: 0, minor: 21, patch: 0 };

const LINE_LENGTH = 200;

/** `2.35.0`, or `softnet 0.22.0`; null where it is neither. */
export function parseVersion(text: string): ToolVersion | null {
  const match = /^(?:softnet |tart )?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:[-+\s]|$)/.exec(
    text.trim().slice(0, LINE_LENGTH),
  );
  if (match === null) return null;
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map(Number);
  return { major, minor, patch };
}

export function isBelow(version: ToolVersion, than: ToolVersion): boolean {
  const difference = version.major - than.major || version.minor - than.minor || version.patch - than.patch;
  return difference < 0;
}

export function formatVersion({ major, minor, patch }: ToolVersion): string {
  return `${major}.${minor}.${patch}`;
}
