/**
 * Secrets as files of the guest: handed to bubblewrap by descriptor and written into the guest's own memory file system,
 * so that no disk of the host, no environment and no command line has them. Pure.
 */
import type { GuestSpec } from '../backend.ts';
import type { Mount } from './mounts.ts';

const FOLDER = '/run/secrets';

/** After the tmpfs at /run. None: nothing is there. */
export function secretMounts(secrets: NonNullable<GuestSpec['secrets']>): readonly Mount[] {
  if (secrets.length === 0) return [];
  return [
    // A file system of their own, so that a look at /run's mounts shows them apart.
    { kind: 'tmpfs', target: FOLDER, mode: '0700' },
    ...secrets.map(
      ({ name, content }): Mount => ({ kind: 'file', target: `${FOLDER}/${name}`, content, mode: '0400' }),
    ),
  ];
}
