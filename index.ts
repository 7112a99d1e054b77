/**
 * The library: the policy engine, and a run from a program. What the `sand` command does beyond them (reading
 * flags, printing) is in `controller/cli`.
 */
export type { AuditEntry, AuditEvent } from './audit/event.ts';
export { readAuditLog } from './audit/read.ts';
export { verifyAuditLog } from './audit/verify.ts';
export { createBackend } from './controller/backends/registry.ts';
export { ERROR_CODES, type ErrorCode, SandError } from './controller/errors.ts';
export { choosePolicy } from './controller/run/policy-choice.ts';
export { runSession, type SessionRequest, type SessionResult } from './controller/run/session.ts';
export { planWorkspace } from './controller/run/workspace.ts';
export { parseHost } from './policies/hostname.ts';
export type * from './policies/model.ts';
export { REASONS, type Reason } from './policies/reasons.ts';
