/**
 * The library: the policy engine, the audit log's readers, and a run from a program. What the `sand` command
 * does beyond them (reading flags, printing) is in `controller/cli`.
 */
import { planRun, type RunRequest } from './controller/run/plan.ts';
import { runSession } from './controller/run/session.ts';
import type { SessionResult } from './controller/run/session-request.ts';

export type { AuditEntry, AuditEvent } from './audit/event.ts';
export { readAuditLog } from './audit/read.ts';
export { verifyAuditLog } from './audit/verify.ts';
export { ERROR_CODES, type ErrorCode, SandError } from './controller/errors.ts';
export { createPolicyReader } from './controller/run/policy-reader.ts';
export { compilePolicy, type PolicyReader, type PolicyRequest } from './policies/compile.ts';
export { evaluate, evaluateAddress, evaluateName } from './policies/evaluate.ts';
export { formatPolicy } from './policies/format.ts';
export { parseAuthority, parseHost } from './policies/hostname.ts';
export type * from './policies/model.ts';
export { phaseNames, policyOfPhase } from './policies/phase.ts';
export { REASONS, type Reason } from './policies/reasons.ts';
export { parseRequestPath } from './policies/request-path.ts';
export type { RunRequest, SessionResult };

/**
 * Runs a command in a new guest and waits for its end. A command that fails is a result; what is wrong with the
 * request is a `SandError`, raised before anything was made.
 *
 *     const { exitCode, rows } = await run({ command: ['npm', 'ci'], policies: ['strict'], cwd: '/srv/project' });
 */
export async function run(
  request: Pick<RunRequest, 'command'> & Partial<RunRequest>,
): Promise<SessionResult> {
  return runSession(await planRun(request));
}
