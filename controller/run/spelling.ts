/**
 * One spelling for every spelling of a path that leads to the same place: macOS's usual file systems tell neither capital letters nor
 * Unicode's ways of composing apart, and its volume of data shows at two places. For refusals alone: it takes too much as the same,
 * never too little. Pure.
 */

import { foldName } from '../guest/name-fold.ts';

/** Where the volume that holds the homes is mounted as a whole; firmlinks show its folders at the top. */
const DATA_VOLUME = '/system/volumes/data';

export function spelled(path: string, platform: NodeJS.Platform = process.platform): string {
  if (platform !== 'darwin') return path;
  const folded = foldName(path);
  return folded.startsWith(`${DATA_VOLUME}/`) ? folded.slice(DATA_VOLUME.length) : folded;
}

/** Of two spelled paths. */
export function isAtOrBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
