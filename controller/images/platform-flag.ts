/** `--platform`: text → the processor that an image is for. Pure. */
import { SandError } from '../errors.ts';
import type { ImagePlatform } from './config.ts';

const PLATFORMS: Readonly<Record<string, ImagePlatform>> = {
  'linux/amd64': 'linux/amd64',
  'linux/arm64': 'linux/arm64',
  'linux/arm64/v8': 'linux/arm64',
  amd64: 'linux/amd64',
  arm64: 'linux/arm64',
};

/** `word` is what stands before such a text where it is written. Raises `usage`. */
export function parsePlatform(text: string, word = '--platform '): ImagePlatform {
  const platform = Object.hasOwn(PLATFORMS, text) ? PLATFORMS[text] : undefined;
  if (platform !== undefined) return platform;
  throw new SandError(
    'usage',
    `${word}${text}: there is no such platform here`,
    `write ${word}linux/arm64 or ${word}linux/amd64`,
  );
}
