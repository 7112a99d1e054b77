/** The executable named `softnet` that stands first in PATH: a line of shell that becomes sand's program. Pure text. */
import { fileURLToPath } from 'node:url';

/** Beside this file as source, and beside the bundle that it is part of. */
export const SOFTNET_PROGRAM = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './softnet.ts' : './softnet.js', import.meta.url),
);

export interface SoftnetPlace {
  /** Absolute. */
  readonly node: string;
  readonly program: string;
  /** Where the guest's supervisor listens for the cable. */
  readonly socket: string;
}

/** Whatever it is called with is passed on. */
export function softnetWrapper({ node, program, socket }: SoftnetPlace): string {
  const words = [node, program, '--cable', socket].map(quote).join(' ');
  return `#!/bin/sh\nexec ${words} "$@"\n`;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
