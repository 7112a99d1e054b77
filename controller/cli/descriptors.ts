/**
 * Closes descriptors that a caller left open to us without meaning a guest to have them. Node's own are all
 * close-on-exec; one that is not came from outside and would pass on to every program that sand starts. On macOS nothing is
 * to be done: there Node starts programs so that they get no descriptor but those that they are given.
 */
import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** O_CLOEXEC of asm-generic/fcntl.h, which x86-64 and arm64 share. */
const CLOSE_ON_EXEC = 0o2000000;

export function closeInherited(): void {
  for (const descriptor of openDescriptors()) {
    if (descriptor > 2 && !isClosedOnExec(descriptor)) closeSync(descriptor);
  }
}

function openDescriptors(): readonly number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    return [];
  }
}

function isClosedOnExec(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'));
    return (Number.parseInt(flags?.[1] ?? '0', 8) & CLOSE_ON_EXEC) !== 0;
  } catch {
    // The listing's own descriptor, closed since.
    return true;
  }
}
