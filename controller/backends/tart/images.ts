/**
 * Images of guests of Tart: machines that the tool has under a name of its own, or in a registry, from which it pulls tens of
 * gigabytes. A pull goes by the host's own network, outside any policy.
 */
import { SandError } from '../../errors.ts';
import { NO_CONFIG } from '../../images/config.ts';
import type { BackendImages, ImageFlag, PreparedImage } from '../../images/prepared.ts';
import { startGuestProcess } from '../../process/runner.ts';
import { planCreate, planFullName, planGet, planPull } from './argv.ts';
import { USER } from './guest-plan.ts';
import { requireFreeName } from './machines.ts';
import { type MachineFacts, parseDigest, parseMachine } from './parse.ts';
import { requireTool } from './readiness.ts';
import { askTart, failure, TOOL, TOOL_LIMITS, tartEnvironment } from './tool.ts';

/** With the guest's agent and the usual tools, and without Xcode. */
export const USUAL_IMAGE = 'ghcr.io/cirruslabs/macos-tahoe-base:latest';
/** What `sand image create macos` makes. */
export const INSTALLED_IMAGE = 'sand-macos';

export const TART_IMAGES: BackendImages = { usual: USUAL_IMAGE, prepare: prepareImage, build: null };

/** Of a Mac's own machines, as Tart counts: 50 GB hold macOS and little else. */
const INSTALLED_GB = 80;

async function prepareImage({ text, user, told }: ImageFlag): Promise<PreparedImage> {
  requireImageName(text);
  const facts = (await lookAt(text)) ?? (await pullImage(text, told));
  const guest = {
    kind: 'named',
    name: text,
    digest: await digestOf(text),
    user: user ?? USER,
    environment: {},
    platform: facts.system === 'linux' ? 'linux/arm64' : 'macos/arm64',
  } as const;
  return { guest, config: NO_CONFIG, notices: [] };
}

/** A name of the tool's own, or `HOST/PATH:TAG` of a registry; never an option, a file or a URL. Raises `usage`. */
export function requireImageName(text: string): void {
  if (/^[A-Za-z0-9][\w.-]{0,127}$/.test(text)) return;
  if (/^[A-Za-z0-9][\w.-]*(?::\d{1,5})?\/[\w./-]{1,255}(?::[\w.-]{1,128}|@sha256:[0-9a-f]{64})?$/.test(text))
    return;
  throw new SandError(
    'usage',
    `--image ${text}: no name of a machine that Tart has, and none of an image in a registry`,
    `write for example --image ${USUAL_IMAGE}, or the name of one that \`tart list\` shows`,
  );
}

/** Null where the tool has none of that name. */
async function lookAt(name: string): Promise<MachineFacts | null> {
  const { exitCode, stdout } = await askTart(planGet(name), TOOL_LIMITS.queryMs);
  return exitCode === 0 ? parseMachine(stdout) : null;
}

/** Null for a machine of the tool's own, which changes as it likes. */
async function digestOf(name: string): Promise<string | null> {
  if (!name.includes('/')) return null;
  const { exitCode, stdout } = await askTart(planFullName(name), TOOL_LIMITS.queryMs);
  return exitCode === 0 ? parseDigest(stdout) : null;
}

/** With the tool's own progress. */
async function pullImage(name: string, told: (message: string) => void): Promise<MachineFacts> {
  if (!name.includes('/')) {
    throw new SandError(
      'image-missing',
      `Tart has no machine named ${name}`,
      '`tart list` shows those that it has; `sand image create macos` makes one',
    );
  }
  told(`pulling ${name} by the host\u2019s own network: 25 GB and more for macOS`);
  const facts = (await runVisibly(planPull(name))) === 0 ? await lookAt(name) : null;
  if (facts !== null) return facts;
  throw new SandError(
    'image-missing',
    `${name} is not on this machine and could not be pulled`,
    'read what tart printed above; check the name, or sign in: tart login HOST',
  );
}

/** On the caller's own standard error, for what takes minutes. */
async function runVisibly(args: readonly string[]): Promise<number | null> {
  const started = await startGuestProcess(TOOL, args, {
    environment: tartEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
    descriptors: [],
    sharesSession: true,
  });
  started.outputs.get(1)?.on('data', (chunk: Buffer) => process.stderr.write(chunk));
  return (await started.ended).exitCode;
}

export interface InstalledImage {
  readonly name: string;
  readonly diskGB: number;
}

/**
 * Installs macOS into a machine of Tart's, from Apple's newest restore image or a file. `latest` is fetched by the host's own
 * network, outside any policy. Raises `usage`, `guest-exists` and `image-failed`.
 */
export async function installMacos(source: string, say: (line: string) => void): Promise<InstalledImage> {
  if (source !== 'latest' && (!source.startsWith('/') || /[\u0000-\u001f]/.test(source))) {
    throw new SandError(
      'usage',
      `--from ${source}: neither \`latest\` nor the path of a restore image`,
      'write --from latest, or the absolute path of an .ipsw file',
    );
  }
  await requireTool();
  await requireFreeName(INSTALLED_IMAGE);
  const what = source === 'latest' ? 'the newest macOS for this Mac (about 18 GB to download)' : source;
  say(`installing ${what} into the machine ${INSTALLED_IMAGE} of ${INSTALLED_GB} GB`);
  say('this takes from 20 minutes to an hour and more; tart shows how far it is');
  const args = planCreate(INSTALLED_IMAGE, source, INSTALLED_GB);
  const exitCode = await runVisibly(args);
  if (exitCode !== 0) {
    throw new SandError(
      'image-failed',
      `macOS could not be installed: ${failure(args, { exitCode, stderr: '' }).message}`,
      'read what tart printed above; `tart delete sand-macos` removes what is left',
    );
  }
  say(
    'it asks its first questions at its own screen: tart run sand-macos; see docs/tart.md for what a guest needs',
  );
  return { name: INSTALLED_IMAGE, diskGB: INSTALLED_GB };
}
