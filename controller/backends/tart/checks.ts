/**
 * What `sand doctor` looks at for the tart backend, in the order in which one thing stands on another. Changes nothing: no
 * guest is started, since that takes minutes and an image.
 */
import { statfsSync } from 'node:fs';
import { homedir, release } from 'node:os';
import { join } from 'node:path';
import { auditRoot } from '../../../audit/runs.ts';
import { SOCKET_PATH_BYTES } from '../../control/protocol.ts';
import { type Attempt, attemptTool, describeAttempt, succeeded } from '../../doctor/attempt.ts';
import { excerpt, failed, ok, warning } from '../../doctor/finding.ts';
import type { Finding } from '../backend.ts';
import { LIST, planGet, VERSION } from './argv.ts';
import { USUAL_IMAGE } from './images.ts';
import { MOST_MACS } from './machines.ts';
import { parseMachine, parseMachines } from './parse.ts';
import { UPGRADE } from './readiness.ts';
import { TOOL, tartEnvironment } from './tool.ts';
import { formatVersion, isBelow, parseVersion, SOFTNET_FLOOR, TART_FLOOR } from './version.ts';

/** macOS 14: the first whose tool runs commands in a guest. */
const DARWIN_FLOOR = 23;
const QUERY_MS = 20_000;
/** An image of macOS, and what a guest writes over it. */
const FREE_BYTES = 60e9;
/** `/guest/cable.sock` behind a run's id. */
const CABLE_BYTES = 45;

/** The machine as the checks see it; a test replaces what it must. */
export interface TartHost {
  readonly platform: string;
  readonly architecture: string;
  /** Of the kernel, as `uname -r` has it. */
  readonly release: string;
  readonly uid: number | null;
  run(program: string, args: readonly string[], timeoutMs: number): Promise<Attempt>;
  /** On the disk that Tart keeps its machines on; null where that cannot be told. */
  freeBytes(): number | null;
  /** The folder that runs are kept in. */
  readonly runs: string;
}

const THIS_MACHINE: TartHost = {
  platform: process.platform,
  architecture: process.arch,
  release: release(),
  uid: process.getuid?.() ?? null,
  run: (program, args, timeoutMs) =>
    attemptTool(program, args, '', timeoutMs, program === TOOL ? tartEnvironment() : {}),
  freeBytes() {
    try {
      const { bavail, bsize } = statfsSync(process.env.TART_HOME ?? join(homedir(), '.tart'));
      return bavail * bsize;
    } catch {
      return null;
    }
  },
  runs: auditRoot(process.env),
};

/** Never rejects. A failure of the Mac or of the tool is the last finding: the rest stands on both. */
export async function checkTart(host: TartHost = THIS_MACHINE): Promise<readonly Finding[]> {
  const findings: Finding[] = [judgePlatform(host)];
  const version = await checkVersion(host);
  findings.push(version);
  if (version.state === 'failed') return findings;
  const rest = [checkRunning, checkImage, checkKeychain, checkSoftnet, checkPort53];
  for (const step of rest) findings.push(await step(host));
  return [...findings, judgeUser(host), judgeDisk(host), judgePath(host), LICENCE];
}

export function judgePlatform({ platform, architecture, release: kernel }: TartHost): Finding {
  const check = 'Mac';
  const major = Number(/^\d+/.exec(kernel)?.[0] ?? 0);
  if (platform !== 'darwin')
    return warning(check, `this is ${platform}; Tart needs a Mac`, 'use the linux backend here');
  if (architecture !== 'arm64')
    return failed(check, `its processor is ${architecture}`, 'use a Mac with Apple silicon');
  if (major < DARWIN_FLOOR)
    return failed(check, `Darwin ${kernel} is older than macOS 14`, 'update macOS to 14 or newer');
  return ok(check, `has Apple silicon, and Darwin ${kernel}`);
}

async function checkVersion(host: TartHost): Promise<Finding> {
  const check = 'tart';
  const attempt = await host.run(TOOL, VERSION, QUERY_MS);
  if (attempt.kind === 'missing') return failed(check, 'is not installed', UPGRADE);
  const found = attempt.kind === 'ran' && succeeded(attempt) ? parseVersion(attempt.stdout) : null;
  if (found === null)
    return failed(check, `does not answer as Tart does: ${excerpt(describeAttempt(attempt))}`, UPGRADE);
  if (isBelow(found, TART_FLOOR)) {
    const old = 'releases come from openai/tools since 2026; the tap cirruslabs/cli has only old ones';
    return failed(
      check,
      `${formatVersion(found)} is older than ${formatVersion(TART_FLOOR)}: ${old}`,
      UPGRADE,
    );
  }
  return ok(check, `is ${formatVersion(found)}`);
}

async function checkRunning(host: TartHost): Promise<Finding> {
  const check = 'running guests';
  const attempt = await host.run(TOOL, LIST, QUERY_MS);
  const machines = attempt.kind === 'ran' && succeeded(attempt) ? parseMachines(attempt.stdout) : null;
  if (machines === null) return failed(check, `do not read: ${excerpt(describeAttempt(attempt))}`, null);
  const macs: string[] = [];
  for (const { name } of machines.filter(({ running }) => running)) {
    const look = await host.run(TOOL, planGet(name), QUERY_MS);
    const facts = look.kind === 'ran' && succeeded(look) ? parseMachine(look.stdout) : null;
    if (facts?.system === 'macos') macs.push(name);
  }
  if (macs.length === 0) return ok(check, `none of macOS runs; ${MOST_MACS} may at a time`);
  const names = excerpt(macs.join(', '));
  if (macs.length < MOST_MACS) return ok(check, `${names} runs; one more of macOS may`);
  return warning(
    check,
    `${names} run, and macOS starts no third`,
    'stop one before the next guest: `sand ls` shows those of sand, `tart stop NAME` stops another',
  );
}

async function checkImage(host: TartHost): Promise<Finding> {
  const check = 'guest image';
  const attempt = await host.run(TOOL, planGet(USUAL_IMAGE), QUERY_MS);
  if (attempt.kind === 'ran' && succeeded(attempt)) return ok(check, `${USUAL_IMAGE} is on this machine`);
  return warning(
    check,
    `${USUAL_IMAGE} is not on this machine; the first guest waits for a download of 25 GB and more`,
    `tart pull ${USUAL_IMAGE}`,
  );
}

/** macOS 15 and newer start no guest without it: over ssh and in CI nobody has unlocked it. */
async function checkKeychain(host: TartHost): Promise<Finding> {
  const check = 'login keychain';
  if (host.platform !== 'darwin') return warning(check, 'is a Mac\u2019s own, and was not looked at', null);
  const attempt = await host.run('security', ['show-keychain-info', 'login.keychain'], QUERY_MS);
  if (succeeded(attempt)) return ok(check, 'is unlocked');
  return failed(
    check,
    `is locked or not there: ${excerpt(describeAttempt(attempt))}`,
    'log in at the Mac\u2019s own screen once, or: security unlock-keychain login.keychain',
  );
}

/** sand's guests have sand's own, but for those that are asked for with the host's. */
async function checkSoftnet(host: TartHost): Promise<Finding> {
  const check = 'softnet';
  const attempt = await host.run('softnet', ['--version'], QUERY_MS);
  if (attempt.kind === 'missing') return ok(check, 'is not installed; only --link softnet needs it');
  const found = attempt.kind === 'ran' && succeeded(attempt) ? parseVersion(attempt.stdout) : null;
  if (found === null) return ok(check, 'tells no version; only --link softnet would need a newer one');
  const age = isBelow(found, SOFTNET_FLOOR)
    ? `older than the ${formatVersion(SOFTNET_FLOOR)} that --link softnet needs`
    : 'new enough for --link softnet; other guests have sand\u2019s own';
  const look = await host.run(
    'sh',
    ['-c', 'p=$(readlink -f "$(command -v softnet)") && ls -ln -- "$p"'],
    QUERY_MS,
  );
  const isSuid = look.kind === 'ran' && /^-..s\S* +\d+ +0 /.test(look.stdout);
  const bits = isSuid
    ? 'is SUID root'
    : 'is not SUID root, without which only sudo without a password serves --link softnet';
  return ok(check, `is ${formatVersion(found)}, ${age}; ${bits}`);
}

/** For other guests of Tart, whose DNS macOS answers there. */
async function checkPort53(host: TartHost): Promise<Finding> {
  const check = 'port 53';
  const attempt = await host.run('lsof', ['-nP', '-iUDP:53', '-Fc'], QUERY_MS);
  if (attempt.kind !== 'ran') return ok(check, 'was not looked at; guests of sand do not need it');
  const names = [...new Set([...attempt.stdout.matchAll(/^c(.+)$/gm)].map((match) => match[1] ?? ''))];
  const who = names.length === 0 ? 'nobody' : excerpt(names.join(', '));
  return ok(
    check,
    `is held by ${who}; guests of sand do not need it, but macOS does with --link softnet and nat`,
  );
}

function judgeUser({ uid }: TartHost): Finding {
  if (uid !== 0) return ok('user', 'is not root');
  return warning(
    'user',
    'is root, as whom guests of macOS 15 and newer do not start',
    'run sand as yourself',
  );
}

function judgeDisk(host: TartHost): Finding {
  const check = 'disk';
  const free = host.freeBytes();
  if (free === null) return warning(check, 'could not be looked at where Tart keeps its machines', null);
  const gigabytes = Math.floor(free / 1e9);
  if (free >= FREE_BYTES) return ok(check, `has ${gigabytes} GB free`);
  return warning(
    check,
    `has ${gigabytes} GB free; an image of macOS takes 25 to 50, and a guest what it writes`,
    'make room: `tart prune` removes images that are not used',
  );
}

function judgePath({ runs }: TartHost): Finding {
  const check = 'cable socket';
  if (Buffer.byteLength(runs) + CABLE_BYTES <= SOCKET_PATH_BYTES)
    return ok(check, 'has a path that is short enough');
  return failed(check, `would have too long a path below ${runs}`, 'set XDG_STATE_HOME to a short path');
}

const LICENCE: Finding = ok(
  'licence',
  'of tart since 2.33 is FSL-1.1-ALv2: any use but a competing product; sand runs the program, and has nothing of it',
);
