/**
 * Installs macOS into a machine of Tart's that guests are cloned of, from Apple's newest restore image or a file. What such a
 * machine still needs to be a guest is its owner's to do, at its screen.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { SandError } from '../../errors.ts';
import { planCreate } from './argv.ts';
import { type EndingSignal, runVisibly } from './long-call.ts';
import { listMachines, requireFreeName } from './machines.ts';
import { isFullDisk } from './parse.ts';
import { requireTool } from './readiness.ts';
import { MAKE_ROOM } from './tool.ts';

export const INSTALLED_IMAGE = 'sand-macos';
/** Of a Mac's own machines, as Tart counts: 50 GB hold macOS and little else. */
const INSTALLED_GB = 80;
const MINUTE_MS = 60_000;

export type MacInstallation =
  | { readonly kind: 'installed'; readonly name: string; readonly diskGB: number }
  | { readonly kind: 'interrupted'; readonly signal: EndingSignal };

/**
 * `latest` is fetched by the host's own network, outside any policy. The name exists from the end of the installation on: what
 * is half made is the tool's, which takes it away. Raises `usage`, `guest-exists` and `image-failed`.
 */
export async function installMacos(source: string, say: (line: string) => void): Promise<MacInstallation> {
  const image = requireSource(source);
  await requireTool();
  await requireFreeName(INSTALLED_IMAGE);
  const what = image === 'latest' ? 'the newest macOS for this Mac (about 18 GB to download)' : image;
  say(`installing ${what} into the machine ${INSTALLED_IMAGE} of ${INSTALLED_GB} GB`);
  say('this takes from 20 minutes to an hour and more; tart shows how far it is, and ^C ends it');
  const from = performance.now();
  const { exitCode, complaint, interrupted } = await runVisibly(
    planCreate(INSTALLED_IMAGE, image, INSTALLED_GB),
  );
  if (interrupted !== null) {
    say(`interrupted (${interrupted}): ${await describeRest()}`);
    return { kind: 'interrupted', signal: interrupted };
  }
  if (exitCode !== 0) {
    const why = complaint === '' ? `exit code ${exitCode}` : complaint.replace(/\.$/, '');
    throw new SandError(
      'image-failed',
      `macOS could not be installed: ${why}; ${await describeRest()}`,
      isFullDisk(complaint)
        ? MAKE_ROOM
        : 'read what tart printed above, and run `sand doctor --backend tart`',
    );
  }
  const minutes = Math.ceil((performance.now() - from) / MINUTE_MS);
  say(`installed in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}`);
  say(
    'it asks its first questions at its own screen: tart run sand-macos; see docs/tart.md for what a guest needs',
  );
  return { kind: 'installed', name: INSTALLED_IMAGE, diskGB: INSTALLED_GB };
}

/** `latest`, or the absolute path of a file that is there. */
function requireSource(source: string): string {
  if (source === 'latest') return source;
  const path = resolve(source);
  const isFile = source !== '' && statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  if (isFile && !/[\u0000-\u001f]/.test(path)) return path;
  throw new SandError(
    'usage',
    `--from ${JSON.stringify(source)}: neither \`latest\` nor a file`,
    'write --from latest, or the path of a restore image, an .ipsw file',
  );
}

/** Asked, not assumed. */
async function describeRest(): Promise<string> {
  const machines = await listMachines().catch(() => null);
  if (machines === null) return 'whether something is left could not be told: look with tart list';
  if (machines.some(({ name }) => name === INSTALLED_IMAGE))
    return `the machine ${INSTALLED_IMAGE} is there: tart delete ${INSTALLED_IMAGE} removes it`;
  return 'no machine is left, and what was downloaded stays in Tart\u2019s cache: tart prune removes it';
}
