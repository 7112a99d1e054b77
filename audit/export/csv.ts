/**
 * Events as CSV (RFC 4180), one row each, the same columns for every kind. Text of a guest can begin with what a
 * spreadsheet takes for a formula; such a cell gets an apostrophe. Pure.
 */
import { escapeTerminal } from '../escape.ts';
import type { AuditEvent } from '../event.ts';
import type { EventEncoder } from './encoder.ts';

type Cell = string | number | boolean | null | undefined;
type Cells = Partial<Record<(typeof CSV_COLUMNS)[number], Cell>>;

export const CSV_COLUMNS = [
  'seq',
  'time',
  'guest',
  'kind',
  'asker',
  'verdict',
  'disposition',
  'reason',
  'host',
  'port',
  'protocol',
  'via',
  'method',
  'path',
  'address',
  'sni',
  'dns_type',
  'dns_rcode',
  'dns_answer',
  'peer',
  'guest_port',
  'connection',
  'count',
  'bytes_out',
  'bytes_in',
  'duration_ms',
  'status',
  'rule',
  'rule_file',
  'rule_line',
  'policy',
  'muted',
  'process_pid',
  'process_command',
  'command',
  'exit_code',
  'detail',
  'suggestion',
] as const;

export function createCsvEncoder(): EventEncoder {
  return {
    begin: () => formatRow(CSV_COLUMNS),
    event(event) {
      const cells = cellsOf(event);
      return formatRow(CSV_COLUMNS.map((column) => cells[column]));
    },
    end: () => '',
  };
}

function formatRow(cells: readonly Cell[]): string {
  return `${cells.map(formatCell).join(',')}\r\n`;
}

/** What spreadsheets take for the beginning of a formula, full-width forms included; a tab or a line end is passed over by some of them. */
const FORMULA = /^[\t\r\n]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/u;

/** Numbers are sand's own and stay numbers. Invisible and control characters of texts are shown as escapes. */
export function formatCell(cell: Cell): string {
  if (cell === undefined || cell === null) return '';
  if (typeof cell !== 'string') return String(cell);
  // Before the escapes, which would take a tab away, and again nothing begins so after them.
  const text = `${FORMULA.test(cell) ? "'" : ''}${escapeTerminal(cell)}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function cellsOf(event: AuditEvent): Cells {
  const { seq, time, guest, kind } = event;
  return { seq, time, guest, kind, ...decisionCells(event), ...ownCells(event) };
}

function decisionCells(event: AuditEvent): Cells {
  if (event.kind !== 'dns' && event.kind !== 'connection' && event.kind !== 'unplanted') return {};
  const { asker, verdict, disposition, reason, rule, policy, muted, detail, suggestion } = event;
  const place = rule === null ? {} : { rule: rule.id, rule_file: rule.file, rule_line: rule.line };
  return { asker, verdict, disposition, reason, policy, muted, detail, suggestion, ...place };
}

function ownCells(event: AuditEvent): Cells {
  switch (event.kind) {
    case 'dns': {
      const { name, type, rcode, answer, count, transport, process } = event;
      const dns = { host: name, protocol: `dns/${transport}`, dns_type: type, dns_rcode: rcode };
      return { ...dns, dns_answer: answer?.join(' '), count, ...processCells(process) };
    }
    case 'connection': {
      const { host, port, protocol, via, method, path, address, sni, connection, count, process } = event;
      const request = { host, port, protocol, via, method, path, address, sni };
      return { ...request, connection, count, ...processCells(process) };
    }
    case 'close': {
      const { host, port, connection, bytesOut, bytesIn, durationMs, status, reason, address, detail } =
        event;
      const moved = { bytes_out: bytesOut, bytes_in: bytesIn, duration_ms: durationMs };
      return { host, port, connection, status, reason, address, detail, ...moved };
    }
    case 'unplanted':
      return { host: event.host, port: event.port, protocol: event.transport, count: event.count };
    case 'inbound': {
      const { address, port, peer, guestPort, disposition, reason, detail, connection, count } = event;
      return { address, port, peer, guest_port: guestPort, disposition, reason, detail, connection, count };
    }
    default:
      return otherCells(event);
  }
}

function otherCells(event: AuditEvent): Cells {
  switch (event.kind) {
    case 'run-start':
      return { command: event.command.join(' '), policy: event.policy.digest, detail: event.policy.name };
    case 'run-end':
      return { exit_code: event.exitCode, duration_ms: event.durationMs, reason: event.cause };
    case 'probe':
      return { reason: event.passed ? 'passed' : 'failed', detail: `${event.name}: ${event.detail}` };
    case 'phase':
      return { policy: event.policy, detail: event.phase, reason: event.by };
    case 'exec':
      return { command: event.command.join(' ') };
    case 'exec-end':
      return { exit_code: event.exitCode, duration_ms: event.durationMs };
    case 'answer': {
      const { host, port, protocol, answer, by, rule, policy, waiting, waitedMs } = event;
      const asked = { host, port, protocol, rule, policy };
      return { ...asked, verdict: answer, reason: by, count: waiting, duration_ms: waitedMs };
    }
    case 'notice':
      return {
        reason: event.code,
        detail: event.detail,
        rule_file: event.at?.file,
        rule_line: event.at?.line,
      };
    default:
      return {};
  }
}

function processCells(process: { readonly pid: number; readonly command: string } | undefined): Cells {
  return process === undefined ? {} : { process_pid: process.pid, process_command: process.command };
}
