/** The one failure of writing: stands apart from `log.ts`, so that who catches it does not load the writer. */

/**
 * The audit log cannot be written, so nothing may be allowed. `cause` is the system's own error, where there
 * is one.
 */
export class AuditUnavailable extends Error {
  readonly path: string;

  constructor(path: string, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.name = 'AuditUnavailable';
    this.path = path;
  }
}
