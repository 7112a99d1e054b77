/**
 * Takes a guest's archive apart and writes it to the host, as far as it may: joins what reads, what decides and what
 * writes. Bytes in; what was left out, out.
 */
import { mkdirSync } from 'node:fs';
import { SandError } from '../errors.ts';
import { type CopyRoot, placeEntry, show } from './entry-path.ts';
import { failed, type HostPlace } from './host-place.ts';
import { COPY_LIMITS } from './limits.ts';
import type { OpenFolder } from './open-folder.ts';
import { type ByteText, refused, TarReader } from './tar-reader.ts';
import { TreeWriter } from './tree-writer.ts';

export interface Received {
  readonly files: number;
  readonly folders: number;
  readonly links: number;
  readonly bytes: number;
  /** `NAME: why`, escaped; the first few. */
  readonly leftOut: readonly string[];
  readonly leftOutCount: number;
}

export interface ReceiverOptions {
  readonly place: HostPlace;
  /** What was asked for; null: what a folder holds. */
  readonly name: string | null;
  /** Whether what is not there yet has to become a folder. */
  readonly mustBeFolder: boolean;
  readonly contentBytes: number;
  /** As the caller wrote it, for errors. */
  readonly to: string;
}

export class CopyReceiver {
  readonly #reader: TarReader;
  readonly #writer: TreeWriter;
  readonly #root: CopyRoot;
  readonly #options: ReceiverOptions;
  readonly #folder: OpenFolder;
  #isSkipping = false;
  #counts = { files: 0, folders: 0, links: 0, bytes: 0, leftOutCount: 0 };
  #leftOut: string[] = [];

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#reader = new TarReader({ contentBytes: options.contentBytes });
    const { folder, root } = openRoot(options);
    this.#folder = folder;
    this.#root = root;
    this.#writer = new TreeWriter(folder);
  }

  /** Raises `copy-refused`, `copy-failed`; then nothing more is taken. */
  take(chunk: Buffer): void {
    for (const event of this.#reader.read(chunk)) {
      if (event.kind === 'entry') this.#begin(event.entry);
      else if (this.#isSkipping) continue;
      else if (event.kind === 'data') {
        this.#counts.bytes += event.bytes.length;
        this.#write(() => this.#writer.write(event.bytes));
      } else this.#write(() => this.#writer.finish());
    }
  }

  /** Raises `copy-failed` where the archive was cut. */
  finish(): Received {
    if (!this.#reader.isWhole) throw refused('it ends too early', 'copy it again');
    return { ...this.#counts, leftOut: this.#leftOut };
  }

  close(): void {
    try {
      this.#writer.close();
    } finally {
      this.#folder.close();
    }
  }

  #begin(entry: Parameters<typeof placeEntry>[0]): void {
    const placed = placeEntry(entry, this.#root);
    this.#isSkipping = !placed.ok;
    if (!placed.ok) {
      this.#counts.leftOutCount += 1;
      if (this.#leftOut.length < COPY_LIMITS.told)
        this.#leftOut.push(`${show(entry.name)}: ${placed.because}`);
      return;
    }
    if (this.#options.mustBeFolder && placed.path.length === 1 && entry.kind !== 'folder')
      throw failed(this.#options.to, 'there is no such folder');
    if (entry.kind === 'file') this.#counts.files += 1;
    else if (entry.kind === 'folder') this.#counts.folders += 1;
    else this.#counts.links += 1;
    this.#write(() => this.#writer.begin(entry, placed.path), entry.name);
  }

  #write(step: () => void, name: ByteText | null = null): void {
    try {
      step();
    } catch (cause) {
      const code = cause instanceof Error ? String(Reflect.get(cause, 'code')) : String(cause);
      const what = name === null ? this.#options.to : show(name);
      throw new SandError(
        'copy-failed',
        `${what} cannot be written (${code})`,
        'look at what lies there now',
        {
          cause,
        },
      );
    }
  }
}

/** The folder that is written below, and by what name. The place's own folder is taken over. */
function openRoot({ place, name, to }: ReceiverOptions): {
  readonly folder: OpenFolder;
  readonly root: CopyRoot;
} {
  const one = (as: string): CopyRoot => ({ kind: 'one', name: bytesOf(name ?? ''), as: bytesOf(as) });
  if (place.name === null)
    return { folder: place.parent, root: name === null ? { kind: 'contents' } : one(name) };
  if (name !== null) return { folder: place.parent, root: one(place.name) };
  try {
    if (place.parent.stat(place.name) !== null) throw failed(to, 'it is no folder');
    place.parent.at(place.name, (path) => mkdirSync(path));
    return { folder: place.parent.open(place.name), root: { kind: 'contents' } };
  } finally {
    place.parent.close();
  }
}

function bytesOf(text: string): ByteText {
  return Buffer.from(text, 'utf8').toString('latin1') as ByteText;
}
