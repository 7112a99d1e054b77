/** `sand image create`: gets what a kind of guest is made of, and says where it is. */

import { createMachineImage } from '../../backends/registry.ts';
import { SandError } from '../../errors.ts';

export interface ImageCreateOptions {
  readonly json: boolean;
  readonly write: (text: string) => void;
}

export async function imageCreate(kind: string, { json, write }: ImageCreateOptions): Promise<number> {
  if (kind !== 'vm') {
    throw new SandError('usage', `sand creates no image of the kind ${kind}`, 'say `sand image create vm`');
  }
  const { release, image } = await createMachineImage((line) => {
    if (!json) write(`${line}\n`);
  });
  write(
    json ? `${JSON.stringify({ kind, kernel: release, path: image })}\n` : `kernel ${release} in ${image}\n`,
  );
  return 0;
}
