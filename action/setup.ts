/**
 * Makes a runner ready for guests, as far as it is asked to and may, and says what it changed. What it did to AppArmor it
 * gives back as a word, by which `restoreSetup` undoes it.
 */
import { readFileSync } from 'node:fs';
import { ActionFailure } from './failure.ts';
import { LIMITS } from './limits.ts';
import { ask } from './process.ts';
import { type DoctorReport, parseDoctorReport } from './report.ts';
import type { Environment } from './runner-files.ts';
import { APPARMOR_PROFILE, explainFailure, planSetup, type SetupPlan, SYSCTL } from './setup-plan.ts';

/** What is undone when the job ends: a closed list, since the runner's state file is only text. */
export type ApparmorChange = 'profile' | 'sysctl';

export interface SetupRequest {
  readonly sand: readonly string[];
  readonly cwd: string;
  readonly environment: Environment;
  /** Whether this may change the runner. */
  readonly allowed: boolean;
  readonly say: (text: string) => void;
  /** Called before a change is made, so that it is undone even if this process is killed, and when it is undone already. */
  readonly remember: (change: ApparmorChange, isMade: boolean) => void;
}

/** Fail closed: returns only where the doctor says that guests can be run. Raises `backend-unavailable`. */
export async function runSetup(request: SetupRequest): Promise<void> {
  const { say } = request;
  let doctor = await examine(request);
  if (doctor.ok) return say('sand doctor: this runner can run guests; nothing was changed');
  let plan = await planFor(request, doctor);
  if (plan.packages.length > 0) {
    await installPackages(request, plan.packages);
    doctor = await examine(request);
    plan = await planFor(request, doctor);
  }
  if (!doctor.ok && plan.apparmor) doctor = await admitNamespaces(request, doctor);
  if (doctor.ok) return say('sand doctor: this runner can run guests now');
  throw new ActionFailure(
    'backend-unavailable',
    `this runner cannot run guests\n${explainFailure(doctor, plan.advice)}`,
    request.allowed
      ? 'change the runner as said above'
      : 'set `setup: true`, or change the runner as said above',
  );
}

async function planFor(request: SetupRequest, doctor: DoctorReport): Promise<SetupPlan> {
  const isRoot = process.getuid?.() === 0;
  const hasSudo = !isRoot && (await isFine(request, ['sudo', '-n', 'true']));
  if (request.allowed && !isRoot && !hasSudo) request.say('sudo asks for a password here, or is not there');
  return planSetup({
    doctor,
    apparmorRestricts: await restriction(request),
    isRoot,
    mayAct: request.allowed && (isRoot || hasSudo),
    hasApt: await isFine(request, ['apt-get', '--version']),
  });
}

async function examine({ sand, cwd, environment }: SetupRequest): Promise<DoctorReport> {
  const answer = await ask({ argv: [...sand, 'doctor', '--json'], cwd, environment }, LIMITS.doctorMs);
  const report = parseDoctorReport(answer.stdout.toString());
  if (report !== null) return report;
  throw new ActionFailure(
    'backend-unavailable',
    `sand doctor said nothing that can be read: ${answer.stderr.trim().slice(0, 500)}`,
    'look at what `sand` names',
  );
}

async function restriction(request: SetupRequest): Promise<string | null> {
  const answer = await run(request, ['sysctl', '-n', SYSCTL]);
  if (answer.code === 0) return answer.stdout.toString().trim();
  try {
    return readFileSync(`/proc/sys/${SYSCTL.replaceAll('.', '/')}`, 'utf8').trim();
  } catch {
    return null;
  }
}

async function installPackages(request: SetupRequest, packages: readonly string[]): Promise<void> {
  request.say(`setup: installs ${packages.join(', ')} with apt-get`);
  await run(request, asRoot(['apt-get', 'update', '-qq']), LIMITS.installMs);
  const command = ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages];
  const { code, stderr } = await run(
    request,
    asRoot(['env', 'DEBIAN_FRONTEND=noninteractive', ...command]),
    LIMITS.installMs,
  );
  if (code !== 0) request.say(`setup: apt-get failed: ${stderr.trim().slice(0, 300)}`);
}

/** The profile first: it opens two programs, where the setting opens all. */
async function admitNamespaces(request: SetupRequest, before: DoctorReport): Promise<DoctorReport> {
  const { say, remember } = request;
  remember('profile', true);
  const loaded = await run(
    request,
    asRoot(['apparmor_parser', '--replace']),
    LIMITS.toolMs,
    APPARMOR_PROFILE,
  );
  let doctor = before;
  if (loaded.code === 0) {
    say(
      'setup: loaded an AppArmor profile that lets bwrap and unshare make user namespaces; removed when the job ends',
    );
    doctor = await examine(request);
    if (doctor.ok) return doctor;
    if (await restoreSetup('profile', request)) remember('profile', false);
  }
  say('setup: an AppArmor profile for bwrap and unshare does not suffice here');
  remember('sysctl', true);
  const switched = await run(request, asRoot(['sysctl', '-w', `${SYSCTL}=0`]));
  if (switched.code !== 0) return doctor;
  say(`setup: set ${SYSCTL} from 1 to 0, for all programs; set back when the job ends`);
  return examine(request);
}

export interface RestoreRequest {
  readonly cwd: string;
  readonly environment: Environment;
  readonly say: (text: string) => void;
}

/** False where it could not be undone, which is said. What is undone twice is undone. */
export async function restoreSetup(change: ApparmorChange, request: RestoreRequest): Promise<boolean> {
  const { code, stderr } =
    change === 'profile'
      ? await run(request, asRoot(['apparmor_parser', '--remove']), LIMITS.toolMs, APPARMOR_PROFILE)
      : await run(request, asRoot(['sysctl', '-w', `${SYSCTL}=1`]));
  const what = change === 'profile' ? 'the AppArmor profile was removed' : `${SYSCTL} is 1 again`;
  request.say(code === 0 ? `setup: ${what}` : `setup: could not be undone: ${stderr.trim().slice(0, 300)}`);
  return code === 0;
}

function asRoot(argv: readonly string[]): readonly string[] {
  return process.getuid?.() === 0 ? argv : ['sudo', '-n', ...argv];
}

async function isFine(request: RestoreRequest, argv: readonly string[]): Promise<boolean> {
  return (await run(request, argv)).code === 0;
}

function run(
  { cwd, environment }: RestoreRequest,
  argv: readonly string[],
  timeoutMs: number = LIMITS.toolMs,
  input = '',
) {
  return ask({ argv, cwd, environment }, timeoutMs, input);
}
