/**
 * Operational failures: one class, one catalogue of codes. Callers switch on `code`; `hint` says what to do
 * next. docs/errors.md explains each code, and a test holds the two together.
 */

export const ERROR_CODES = {
  usage: { exit: 2, means: 'the command line is wrong' },
  'policy-invalid': { exit: 2, means: 'a policy does not parse or cannot be enforced' },
  'policy-missing': { exit: 2, means: 'a policy that was named does not exist' },
  'policy-unapproved': { exit: 2, means: 'a found policy is wider than strict and nobody approved it' },
  'project-unapproved': {
    exit: 2,
    means: 'a found sand.yaml asks for more than a plain run and nobody approved it',
  },
  'policy-unwritable': { exit: 2, means: 'a policy file that sand does not change' },
  'file-invalid': { exit: 2, means: 'a file that sand reads does not parse' },
  'workspace-refused': { exit: 2, means: 'a mount or working directory that sand does not give a guest' },
  'share-unavailable': { exit: 2, means: 'something named with --share is not there' },
  'resources-unavailable': {
    exit: 125,
    means: 'this host cannot hold a guest to a limit that was asked for',
  },
  'secret-unavailable': { exit: 2, means: 'something named with --secret is not there or cannot be read' },
  'image-missing': { exit: 2, means: 'an image that is not on this machine' },
  'image-invalid': { exit: 2, means: 'an image whose configuration or files sand does not use' },
  'image-failed': { exit: 125, means: 'an image could not be read or unpacked' },
  'build-unapproved': { exit: 2, means: 'a Dockerfile that has changed since somebody approved it' },
  'build-failed': { exit: 125, means: 'an image could not be built' },
  'volume-missing': { exit: 2, means: 'no volume of that name' },
  'volume-busy': { exit: 125, means: 'another guest has a volume that one alone can have' },
  'node-too-old': { exit: 125, means: 'Node is older than the floor' },
  'tool-missing': { exit: 125, means: 'a program that the backend needs is not installed' },
  'tool-failed': { exit: 125, means: 'a program that the backend runs failed' },
  'backend-unavailable': { exit: 125, means: 'this machine cannot run guests of that backend' },
  'namespaces-unavailable': { exit: 125, means: 'user or network namespaces are blocked' },
  'link-failed': { exit: 125, means: 'the link between guest and gateway could not be set up' },
  'probe-failed': { exit: 122, means: 'a start probe found a way out or could not finish' },
  'confinement-required': {
    exit: 122,
    means: 'the policy requires enforced confinement and it cannot be had',
  },
  'isolation-required': {
    exit: 122,
    means: 'the policy requires a stronger isolation than the guest would have',
  },
  'port-refused': { exit: 2, means: 'a port that sand never listens on' },
  'port-in-use': { exit: 125, means: 'a port that was asked for is taken' },
  'audit-unavailable': { exit: 125, means: 'the audit log cannot be written' },
  'audit-broken': { exit: 1, means: 'the audit log does not verify' },
  'run-missing': { exit: 2, means: 'no run of that name' },
  'guest-exists': { exit: 2, means: 'a guest has that name already' },
  'guest-running': { exit: 1, means: 'the guest runs, and what was asked is for one that has ended' },
  'guest-ended': { exit: 1, means: 'the guest has ended, and what was asked is for one that runs' },
  'control-missing': { exit: 2, means: 'the run has ended, or has no control socket' },
  'control-failed': { exit: 125, means: 'the control socket of a run could not be made or did not answer' },
  'copy-refused': { exit: 1, means: 'a copy that would write where it must not, or more than it may' },
  'copy-failed': { exit: 1, means: 'a place of a copy that is not there, or cannot be read or written' },
  'ssh-unavailable': { exit: 1, means: 'no ssh server can be had in that guest' },
  'question-missing': { exit: 1, means: 'a question does not wait any more, or cannot be answered so' },
  'phase-last': { exit: 1, means: 'the guest is in the last phase of its policy' },
  'output-failed': { exit: 125, means: 'a report, a baseline or an export could not be written' },
  'guest-failed': { exit: 125, means: 'the guest ended before its command could start' },
  'teardown-failed': { exit: 125, means: 'a step of the teardown failed' },
  internal: { exit: 125, means: 'a fault in sand' },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export class SandError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    hint: string,
    options: { readonly details?: Record<string, unknown>; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'SandError';
    this.code = code;
    this.hint = hint;
    this.details = options.details ?? {};
  }
}
