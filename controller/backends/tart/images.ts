/**
 * Images of guests of Tart: machines that the tool has under a name of its own, or in a registry, from which it pulls tens of
 * gigabytes. A pull goes by the host's own network, outside any policy.
 */
import { SandError } from '../../errors.ts';
import { NO_CONFIG } from '../../images/config.ts';
import type { BackendImages, ImageFlag, PreparedImage } from '../../images/prepared.ts';
import { planFullName, planGet, planPull } from './argv.ts';
import { USER } from './guest-plan.ts';
import { endBy, runVisibly } from './long-call.ts';
import { isFullDisk, type MachineFacts, parseDigest, parseMachine } from './parse.ts';
import { askTart, MAKE_ROOM, TOOL_LIMITS } from './tool.ts';

/** With the guest's agent and the usual tools, and without Xcode. */
export const USUAL_IMAGE = 'ghcr.io/cirruslabs/macos-tahoe-base:latest';
export const TART_IMAGES: BackendImages = { usual: USUAL_IMAGE, prepare: prepareImage, build: null };

async function prepareImage({ text, user, told }: ImageFlag): Promise<PreparedImage> {
  requireImageName(text);
  const facts = (await lookAt(text)) ?? (await pullImage(text, told));
  requireAtRest(text, facts);
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

/** Fail closed: of one that runs the disk would be cloned within a write, and of one that is suspended its memory with it. */
function requireAtRest(name: string, { running, suspended }: MachineFacts): void {
  if (!running && !suspended) return;
  throw new SandError(
    'image-invalid',
    `the machine ${name} ${running ? 'runs' : 'is suspended'}, and a guest is cloned of one that is shut down`,
    running
      ? `shut it down: tart stop ${name}`
      : `run it and shut it down, or give up what it had open: tart stop ${name}`,
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
  const { exitCode, complaint, interrupted } = await runVisibly(planPull(name));
  if (interrupted !== null) endBy(interrupted);
  const facts = exitCode === 0 ? await lookAt(name) : null;
  if (facts !== null) return facts;
  const why = interrupted ?? (complaint === '' ? `exit code ${exitCode}` : complaint);
  throw new SandError(
    'image-missing',
    `${name} is not on this machine and could not be pulled: ${why}`,
    isFullDisk(complaint)
      ? MAKE_ROOM
      : 'read what tart printed above; check the name, or sign in: tart login HOST',
  );
}
