/** What every form of an exported log is: text before, for each event, and after. Events come one by one, so that a log of any length fits. */
import type { AuditEvent } from '../event.ts';

export interface EventEncoder {
  begin(): string;
  /** In the order of the log; the first is the `run-start`, where the log has one. Empty where it waits for more. */
  event(event: AuditEvent): string;
  end(): string;
}

export type RunStartEvent = Extract<AuditEvent, { kind: 'run-start' }>;
