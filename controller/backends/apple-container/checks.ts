/**
 * What `sand doctor` looks at for the apple-container backend, in the order in which one thing stands on another: the
 * first that fails is what to mend. Changes nothing but a container of its own, which it removes.
 */
import { release } from 'node:os';
import { type Attempt, attemptTool, describeAttempt, succeeded } from '../../doctor/attempt.ts';
import { excerpt, failed, ok, warning } from '../../doctor/finding.ts';
import { readRelayFile } from '../../links/relay/relay-file.ts';
import type { Finding } from '../backend.ts';
import { LIST, STATUS, VERSIONS } from './argv.ts';
import { planImageInspect } from './image-argv.ts';
import { USUAL_IMAGE } from './images.ts';
import { parseContainers, parseImages, parseSystemStatus, parseSystemVersions } from './parse.ts';
import { START, UPGRADE } from './readiness.ts';
import { containerEnvironment, TOOL } from './tool.ts';
import { FLOOR, formatVersion, isBelow, parseVersionLine } from './version.ts';

/** macOS 26; before it `container` has no networks, and is not supported. */
const DARWIN_FLOOR = 25;
const QUERY_MS = 10_000;
/** Boots a machine, and unpacks the image where that was not done yet. */
const TRIAL_MS = 90_000;

/** The machine as the checks see it; a test replaces what it must. */
export interface AppleHost {
  readonly platform: string;
  readonly architecture: string;
  /** Of the kernel, as `uname -r` has it. */
  readonly release: string;
  container(args: readonly string[], timeoutMs: number): Promise<Attempt>;
  /** Throws where the guest's relay is not there as it was built. */
  relay(): void;
}

const THIS_MACHINE: AppleHost = {
  platform: process.platform,
  architecture: process.arch,
  release: release(),
  container: (args, timeoutMs) =>
    attemptTool(TOOL, args, '', timeoutMs, { HOME: containerEnvironment().HOME ?? '' }),
  relay: () => void readRelayFile(process.arch === 'x64' ? 'x64' : 'arm64'),
};

/** Never rejects. Each step stands on those before it, so the first failure is the last finding but the relay's. */
export async function checkAppleContainer(host: AppleHost = THIS_MACHINE): Promise<readonly Finding[]> {
  const findings: Finding[] = [checkRelay(host), judgePlatform(host)];
  for (const step of [checkVersion, checkServices, checkServer, checkImage, checkTrial]) {
    const found = await step(host);
    findings.push(found);
    if (found.state === 'failed') return findings;
  }
  return [...findings, await checkNeighbours(host)];
}

function checkRelay(host: AppleHost): Finding {
  try {
    host.relay();
    return ok('guest relay', 'is there, with the digest that it was built with');
  } catch (error) {
    return failed(
      'guest relay',
      excerpt(error instanceof Error ? error.message : String(error)),
      'npm run build:relay',
    );
  }
}

/** A warning: what follows shows whether the tool works all the same. */
export function judgePlatform({ platform, architecture, release: kernel }: AppleHost): Finding {
  const check = 'Mac';
  const major = Number(/^\d+/.exec(kernel)?.[0] ?? 0);
  if (platform !== 'darwin')
    return warning(
      check,
      `this is ${platform}; Apple\u2019s container needs a Mac`,
      'use the linux backend here',
    );
  if (architecture !== 'arm64')
    return failed(check, `its processor is ${architecture}`, 'use a Mac with Apple silicon');
  if (major < DARWIN_FLOOR)
    return failed(check, `Darwin ${kernel} is older than macOS 26`, 'update macOS to 26 or newer');
  return ok(check, `has Apple silicon, and Darwin ${kernel}`);
}

async function checkVersion(host: AppleHost): Promise<Finding> {
  const check = 'container';
  const attempt = await host.container(['--version'], QUERY_MS);
  if (attempt.kind === 'missing') return failed(check, 'is not installed', UPGRADE);
  const found = attempt.kind === 'ran' ? parseVersionLine(attempt.stdout) : null;
  if (found === null)
    return failed(
      check,
      `does not answer as Apple\u2019s does: ${excerpt(describeAttempt(attempt))}`,
      UPGRADE,
    );
  if (isBelow(found, FLOOR))
    return failed(check, `${formatVersion(found)} is older than ${formatVersion(FLOOR)}`, UPGRADE);
  return ok(check, `is ${formatVersion(found)}`);
}

async function checkServices(host: AppleHost): Promise<Finding> {
  const check = 'container services';
  const attempt = await host.container(STATUS, QUERY_MS);
  const status = attempt.kind === 'ran' ? parseSystemStatus(attempt.stdout)?.status : undefined;
  if (status === 'running') return ok(check, 'are running');
  return failed(check, status ?? excerpt(describeAttempt(attempt)), START);
}

/** An upgrade leaves the old services running until they are restarted. */
async function checkServer(host: AppleHost): Promise<Finding> {
  const check = 'container versions';
  const attempt = await host.container(VERSIONS, QUERY_MS);
  const versions = attempt.kind === 'ran' ? parseSystemVersions(attempt.stdout) : null;
  if (versions === null || versions.server === null)
    return failed(check, `do not read: ${excerpt(describeAttempt(attempt))}`, START);
  const [tool, server] = [versions.tool, versions.server].map(formatVersion);
  if (tool === server) return ok(check, `agree: tool and services are ${tool}`);
  return failed(
    check,
    `the tool is ${tool} and its services are ${server}`,
    `container system stop, then ${START}`,
  );
}

async function checkImage(host: AppleHost): Promise<Finding> {
  const check = 'guest image';
  const attempt = await host.container(planImageInspect(USUAL_IMAGE), QUERY_MS);
  const images = succeeded(attempt) && attempt.kind === 'ran' ? parseImages(attempt.stdout) : null;
  if (images?.[0] !== undefined) return ok(check, `${USUAL_IMAGE} is on this machine`);
  return failed(check, `${USUAL_IMAGE} is not on this machine`, `sand image pull ${USUAL_IMAGE}`);
}

async function checkTrial(host: AppleHost): Promise<Finding> {
  const check = 'machine without a network';
  const name = `sand-doctor-${process.pid}`;
  const attempt = await host.container(
    ['run', '--rm', '--name', name, '--network', 'none', '--', USUAL_IMAGE, 'cat', '/proc/net/dev'],
    TRIAL_MS,
  );
  if (!succeeded(attempt) || attempt.kind !== 'ran') {
    // One that hangs is nobody's any more.
    await host.container(['delete', '--force', '--', name], QUERY_MS);
    return failed(check, `does not start: ${excerpt(describeAttempt(attempt))}`, 'container system logs');
  }
  const others = interfacesOf(attempt.stdout).filter((one) => one !== 'lo');
  if (others.length === 0) return ok(check, 'starts, and has nothing but its loopback');
  return failed(check, `has ${excerpt(others.join(', '))}`, 'do not use this backend here, and report this');
}

/** /proc/net/dev: two lines of head, then `name: counters`. Nothing at all counts as unknown. */
function interfacesOf(text: string): readonly string[] {
  const rows = text.trim().split('\n').slice(2);
  return rows.length === 0 ? ['(unknown)'] : rows.map((row) => row.split(':', 1).join('').trim());
}

/** A container with a network brings up macOS's own resolver on port 53; a guest of sand's never does. */
async function checkNeighbours(host: AppleHost): Promise<Finding> {
  const check = 'other containers';
  const attempt = await host.container(LIST, QUERY_MS);
  const all = attempt.kind === 'ran' ? parseContainers(attempt.stdout) : null;
  if (all === null) return warning(check, `do not read: ${excerpt(describeAttempt(attempt))}`, null);
  const networked = all.filter(({ state, networks }) => state === 'running' && networks > 0);
  if (networked.length === 0)
    return ok(check, 'none runs with a network, so nothing of container wants port 53');
  const names = excerpt(networked.map(({ id }) => id).join(', '));
  return warning(
    check,
    `${names} run with a network: macOS answers their DNS on port 53, which fights whoever else is there (WARP, dnsmasq, a VPN)`,
    'guests of sand are not concerned; for the others see docs/apple-container.md, port 53',
  );
}
