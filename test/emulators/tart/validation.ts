/** What commands of the emulated `tart` check before they do anything: the rules of the grammar that belong to the phase `validate`. */
import { Failure } from '../container/failure.ts';
import { type Refused, refusal } from '../grammar/parse.ts';
import { argumentAt, type Call, hasFlag, optionValue, optionValues } from './call.ts';
import { findVm, stateOf } from './vms.ts';

/** The words of a refusal; null where all is well. */
type Check = (call: Call) => string | null;

const NET_GROUPS = [
  ['--net-bridged'],
  [
    '--net-softnet',
    '--net-softnet-allow',
    '--net-softnet-block',
    '--net-softnet-expose',
    '--net-softnet-control-fd',
  ],
  ['--net-host'],
];

const CHECKS: Readonly<Record<string, Check>> = {
  create: (call) =>
    optionValue(call, '--from-ipsw') === null && !hasFlag(call, '--linux')
      ? 'Please specify either a --from-ipsw or --linux option!'
      : null,
  clone: (call) => checkName(argumentAt(call, 1)) ?? checkConcurrency(call),
  run: checkRun,
  list: (call) =>
    [null, 'local', 'oci'].includes(optionValue(call, '--source'))
      ? null
      : `'${optionValue(call, '--source')}' is not a valid <source>`,
  login: (call) =>
    (optionValue(call, '--username') === null) === hasFlag(call, '--password-stdin')
      ? 'both --username and --password-stdin are required'
      : null,
  pull: checkConcurrency,
  import: (call) => checkName(argumentAt(call, 1)),
  prune: checkPrune,
  rename: (call) => checkName(argumentAt(call, 1)),
};

/** Null where all is well; some checks are failures of status 1, as in the tool. */
export function validate(call: Call): Refused | null {
  const message = CHECKS[call.parsed.command.path.join(' ')]?.(call) ?? null;
  return message === null ? null : refusal(call.grammar, call.parsed.command, message);
}

/** For what a command refuses in the same form while it runs. */
export function refuseLater(call: Call, message: string): Failure {
  const { stderr, status } = refusal(call.grammar, call.parsed.command, message);
  return new Failure(stderr.trimEnd(), status);
}

function checkName(name: string): string | null {
  return name.includes('/') ? '<new-name> should be a local name' : null;
}

function checkConcurrency(call: Call): string | null {
  return Number(optionValue(call, '--concurrency') ?? 4) < 1
    ? 'network concurrency cannot be less than 1'
    : null;
}

function checkPrune(call: Call): string | null {
  const budgets = ['--cache-budget', '--space-budget'].filter((name) => optionValue(call, name) !== null);
  if (budgets.length > 1) return '--cache-budget is deprecated, please use --space-budget';
  if (budgets.length === 0 && optionValue(call, '--older-than') === null && !hasFlag(call, '--gc'))
    return 'at least one pruning criteria must be specified';
  return null;
}

function checkRun(call: Call): string | null {
  const has = (name: string) => hasFlag(call, name) || optionValues(call, name).length > 0;
  const isMuch = (...names: readonly string[]) => names.filter(has).length > 1;
  if (isMuch('--vnc', '--vnc-experimental'))
    return '--vnc and --vnc-experimental options are mutually exclusive!';
  if (NET_GROUPS.filter((group) => group.some(has)).length > 1)
    return '--net-bridged, --net-softnet and --net-host are mutually exclusive';
  if (isMuch('--graphics', '--no-graphics')) return '--graphics and --no-graphics are mutually exclusive!';
  if (has('--capture-system-keys') && ['--no-graphics', '--vnc', '--vnc-experimental'].some(has))
    return '--captures-system-keys can only be used with the default VM view';
  const name = argumentAt(call, 0);
  const vm = findVm(call.home, name);
  if (vm === null) throw new Failure(`Error: the specified VM "${name}" does not exist`);
  const isMac = vm.config.os === 'darwin';
  const isSuspendable = has('--suspendable') || stateOf(vm) === 'suspended';
  if (isSuspendable && !isMac) return 'You can only suspend macOS VMs';
  if (isSuspendable && ['--no-trackpad', '--no-keyboard', '--no-pointer'].some(has))
    return '--no-trackpad, --no-keyboard and --no-pointer cannot be used with --suspendable';
  if (has('--no-trackpad') && !isMac) return '--no-trackpad can only be used with macOS VMs';
  if (has('--provisioning-opts') && !isMac) return '--provisioning-opts can only be used with macOS VMs';
  if (optionValues(call, '--disk').some((value) => value.endsWith('-amd64.iso')))
    return "Seems you have a disk targeting x86 architecture (hence amd64 in the name). Please use an 'arm64' version of the disk.";
  return null;
}
