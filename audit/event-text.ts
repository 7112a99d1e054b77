/** One event as one line for a terminal: what `sand audit tail` prints. Pure. */

import { type Colour, PLAIN, paint, type Terminal } from './columns.ts';
import { escapeTerminal } from './escape.ts';
import type { AuditEvent, DecisionFacts, ProcessFact } from './event.ts';
import { howOf, rowVerdict } from './summary.ts';
import { formatAuthority, formatBytes, formatRulePlace, VERDICT_COLOURS, VERDICT_TEXT } from './table.ts';
import { padEnd } from './width.ts';

/** The longest of `VERDICT_TEXT`, and `inbound refused`. */
const LABEL_COLUMNS = 15;

/** One line that ends in a newline. */
export function formatEvent(event: AuditEvent, terminal: Terminal = PLAIN): string {
  const label = labelOf(event);
  const padded = padEnd(label.text, LABEL_COLUMNS);
  const shown = terminal.colour && label.colour !== null ? paint(label.colour, padded) : padded;
  const clock = escapeTerminal(event.time.slice(11, 23));
  return `${clock}  ${shown}  ${escapeTerminal(describe(event))}\n`;
}

/** The event in one sentence, without its time: escaped, for logs and messages of others. */
export function describeEvent(event: AuditEvent): string {
  return escapeTerminal(`${labelOf(event).text}: ${describe(event)}`);
}

function labelOf(event: AuditEvent): {
  readonly text: string;
  readonly colour: Colour | null;
} {
  switch (event.kind) {
    case 'dns':
    case 'connection':
    case 'unplanted': {
      const verdict = rowVerdict(event);
      return { text: VERDICT_TEXT[verdict], colour: VERDICT_COLOURS[verdict] };
    }
    case 'inbound':
      return { text: event.disposition === 'forwarded' ? 'inbound' : 'inbound refused', colour: null };
    case 'probe':
      return { text: event.passed ? 'probe passed' : 'probe failed', colour: event.passed ? null : 'red' };
    default:
      return { text: event.kind, colour: null };
  }
}

function describe(event: AuditEvent): string {
  switch (event.kind) {
    case 'run-start':
      return `${event.run}: ${event.command.join(' ')} (policy ${event.policy.name}, mode ${event.policy.mode})`;
    case 'probe':
      return `${event.name}: ${event.detail}`;
    case 'dns': {
      const answer = event.answer === undefined ? '' : ` ${event.answer.join(' ')}`;
      const asker = event.asker === 'host' ? ', asked on the host' : '';
      const what = `${event.name} dns ${event.type} ${event.rcode}${answer}`;
      return `${what}, ${describeDecision(event)}${asker}${describeProcess(event.process)}`;
    }
    case 'connection': {
      const request = event.method === undefined ? '' : ` ${event.method} ${event.path ?? ''}`.trimEnd();
      const what = `${formatAuthority(event)} ${howOf(event)}${request}`;
      return `${what}, ${describeDecision(event)}${describeProcess(event.process)}`;
    }
    case 'close': {
      const reason = event.reason === undefined ? '' : `, ${event.reason}`;
      const bytes = `${formatBytes(event.bytesOut)} out, ${formatBytes(event.bytesIn)} in`;
      return `${formatAuthority(event)} ${bytes}, ${event.durationMs} ms${reason}`;
    }
    case 'inbound': {
      const place = formatAuthority({ host: event.address, port: event.port });
      const from = event.peer === '' ? '' : ` from ${event.peer}`;
      const detail = event.detail === undefined ? '' : `: ${event.detail}`;
      const reason = event.reason === undefined ? '' : `, ${event.reason}${detail}`;
      return `${place} to guest port ${event.guestPort}${from}${reason}`;
    }
    case 'unplanted': {
      const times = event.count > 1 ? `, ${event.count} times` : '';
      return `${formatAuthority(event)} ${event.transport}, ${describeDecision(event)}${times}`;
    }
    case 'answer': {
      const place =
        event.port === null ? event.host : formatAuthority({ host: event.host, port: event.port });
      return `${place}: ${event.answer}, by ${event.by}, ${event.waiting} waited ${event.waitedMs} ms`;
    }
    case 'exec':
      return `command ${event.exec}: ${event.command.join(' ')}`;
    case 'exec-end':
      return `command ${event.exec} ended with ${event.exitCode} after ${event.durationMs} ms`;
    case 'phase':
      return `${event.phase} begins (${event.by}), policy ${event.policy}`;
    case 'notice':
      return `${event.code}: ${event.detail}`;
    case 'run-end':
      return `exit code ${event.exitCode} (${event.cause}), ${event.events} events`;
  }
}

function describeDecision(decision: DecisionFacts): string {
  const rule = decision.rule === null ? '' : ` ${formatRulePlace(decision.rule)}`;
  const detail = decision.detail === undefined ? '' : `: ${decision.detail}`;
  return `${decision.reason}${rule}${detail}`;
}

function describeProcess(process: ProcessFact | undefined): string {
  return process === undefined ? '' : `, by ${process.command} (pid ${process.pid})`;
}
