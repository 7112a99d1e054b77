/** `sand image create`: gets what a kind of guest is made of, and says where it is. */

import { createMachineImage, installMacos } from '../../backends/registry.ts';
import { SandError } from '../../errors.ts';

/** What a shell reports of a program that was interrupted. */
const SIGNAL_CODES = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGTERM: 143 } as const;

export interface ImageCreateOptions {
  readonly json: boolean;
  /** Of macos: `latest`, or the path of a restore image. */
  readonly source?: string;
  readonly write: (text: string) => void;
}

export async function imageCreate(
  kind: string,
  { json, write, source }: ImageCreateOptions,
): Promise<number> {
  if (kind === 'macos') return createMacos(source ?? 'latest', { json, write });
  if (kind !== 'vm' || source !== undefined) {
    throw new SandError(
      'usage',
      source === undefined
        ? `sand creates no image of the kind ${kind}`
        : `--from is for the kind macos alone`,
      'say `sand image create vm`, or `sand image create macos --from latest`',
    );
  }
  const { release, image } = await createMachineImage((line) => {
    if (!json) write(`${line}\n`);
  });
  write(
    json ? `${JSON.stringify({ kind, kernel: release, path: image })}\n` : `kernel ${release} in ${image}\n`,
  );
  return 0;
}

/** Takes long: what is under way is told before it begins, and the tool's own progress goes to the standard error. */
async function createMacos(source: string, { json, write }: ImageCreateOptions): Promise<number> {
  const installation = await installMacos(source, (line) => process.stderr.write(`${line}\n`));
  if (installation.kind === 'interrupted') return SIGNAL_CODES[installation.signal];
  const { name, diskGB } = installation;
  write(
    json
      ? `${JSON.stringify({ kind: 'macos', machine: name, diskGB })}\n`
      : `macOS in the machine ${name} (${diskGB} GB)\n`,
  );
  return 0;
}
