/**
 * What a guest is told when it is refused: an HTTP answer, a TLS alert, a SOCKS code. Pure. Says what was
 * refused, why, by which rule, and the command that explains it; never a host path, a resolved address or
 * another rule.
 */
import type { RuleRef } from '../policies/model.ts';
import { REASONS, type Reason } from '../policies/reasons.ts';
import { PROXY_BOUNDS } from './limits.ts';

/** Why one request goes no further, as it is recorded and shown. */
export interface Denial {
  /** What the policy said; an allowed request can still be refused (no such name, a limit). */
  readonly verdict: 'allow' | 'deny';
  readonly reason: Reason;
  readonly rule: RuleRef | null;
  /** For the audit log: a sentence that may name resolved addresses. */
  readonly detail: string | null;
  readonly suggestion: string | null;
  readonly muted: boolean;
  /** The HTTP status, where the reason alone does not settle it. */
  readonly status: number | null;
  /** A sentence that the guest may read too; holds nothing that the guest does not know. */
  readonly advice: string | null;
}

/** What was asked, in words that a person recognises. All of it came from the guest: it is escaped here. */
export interface Subject {
  /** `GET http://example.com/`, `CONNECT example.com:443`. */
  readonly request: string;
  /** `example.com:443`; null where no authority could be read. */
  readonly authority: string | null;
  /** The plain-HTTP request in it, path without query; absent where none was read. */
  readonly http?: { readonly method: string; readonly path: string };
}

export interface RefusalOptions {
  readonly wantsJson: boolean;
  readonly keepAlive: boolean;
  /** A HEAD request gets the head alone. */
  readonly isHead: boolean;
}

export interface Refusal {
  readonly status: number;
  readonly bytes: Buffer;
}

const STATUS_BY_REASON: Partial<Record<Reason, number>> = {
  'request-malformed': 400,
  'method-refused': 405,
  'limit-connections': 503,
  'limit-requests': 429,
  'limit-time': 408,
  'limit-size': 431,
  'limit-body': 413,
  'dns-not-found': 502,
  'dns-failed': 502,
  'upstream-refused': 502,
  'upstream-failed': 502,
  'upstream-timeout': 504,
  'audit-unavailable': 503,
  'shutting-down': 503,
  'internal-error': 500,
};

/** Here, so that a refusal does not load the HTTP module. */
const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

export function statusOf(denial: Pick<Denial, 'reason' | 'status'>): number {
  return denial.status ?? STATUS_BY_REASON[denial.reason] ?? 403;
}

/** A whole HTTP/1.1 answer. */
export function formatRefusal(denial: Denial, subject: Subject, options: RefusalOptions): Refusal {
  const status = statusOf(denial);
  const body = Buffer.from(options.wantsJson ? jsonBody(denial, subject) : textBody(denial, subject), 'utf8');
  const head = [
    // Of a refused CONNECT many a client shows the first line and nothing else: it names sand as well.
    `HTTP/1.1 ${status} ${PHRASES[status] ?? 'Refused'} (sand: ${denial.reason})`,
    `x-sand-reason: ${denial.reason}`,
    ...(denial.rule === null ? [] : [`x-sand-rule: ${escapeAscii(denial.rule.id)}`]),
    `content-type: ${options.wantsJson ? 'application/json' : 'text/plain; charset=utf-8'}`,
    `content-length: ${body.length}`,
    'cache-control: no-store',
    `connection: ${options.keepAlive ? 'keep-alive' : 'close'}`,
    '',
    '',
  ].join('\r\n');
  const bytes = Buffer.from(head, 'latin1');
  return { status, bytes: options.isHead ? bytes : Buffer.concat([bytes, body]) };
}

function textBody(denial: Denial, subject: Subject): string {
  const lines = [
    `sand refused ${shown(subject.request)}`,
    `reason: ${denial.reason} (${REASONS[denial.reason]})`,
  ];
  if (denial.advice !== null) lines.push(`detail: ${shown(denial.advice)}`);
  if (denial.rule !== null) {
    lines.push(`rule: ${shown(denial.rule.id)} (${shown(shownOrigin(denial.rule))})`);
    if (denial.rule.because !== null) lines.push(`because: ${shown(denial.rule.because)}`);
  }
  const explain = explainCommand(denial, subject);
  if (explain !== null) lines.push(`explain: ${explain}`);
  return `${lines.join('\n')}\n`;
}

function jsonBody(denial: Denial, subject: Subject): string {
  const { rule } = denial;
  const value = {
    refused: shown(subject.request),
    reason: denial.reason,
    means: REASONS[denial.reason],
    ...(denial.advice === null ? {} : { detail: shown(denial.advice) }),
    rule:
      rule === null
        ? null
        : {
            id: shown(rule.id),
            at: shown(shownOrigin(rule)),
            ...(rule.because === null ? {} : { because: shown(rule.because) }),
          },
    explain: explainCommand(denial, subject),
  };
  return `${JSON.stringify(value)}\n`;
}

/**
 * `sand why HOST:PORT`, and where the request decided, its method and path. An authority that was parsed has no
 * character that a shell reads; a path that has one is left to the reader.
 */
function explainCommand({ reason }: Denial, { authority, http }: Subject): string | null {
  if (authority === null || !/^[A-Za-z0-9.:_[\]-]+$/.test(authority)) return null;
  const command = authority.startsWith('[') ? `sand why '${authority}'` : `sand why ${authority}`;
  if (reason !== 'method-not-allowed' && reason !== 'path-not-allowed') return command;
  const request = `${http?.method} ${http?.path}`;
  const isPlain = request.length <= PROXY_BOUNDS.echoedText && /^[A-Z-]+ \/[A-Za-z0-9._~%/-]*$/.test(request);
  return isPlain ? `${command} ${request}` : `${command} METHOD PATH`;
}

/** `policy.yaml:12`. Fail closed: of an absolute path, whoever put it there, only the last part is shown. */
function shownOrigin(rule: RuleRef): string {
  const { file, line } = rule.origin;
  const name = /^(\/|~|[A-Za-z]:[\\/]|\\\\)/.test(file) ? (file.split(/[\\/]/).at(-1) ?? '') : file;
  return line > 0 ? `${name}:${line}` : name;
}

/** Text for a terminal or a log: at most a few lines long, with every control and formatting character escaped. */
export function shown(text: string): string {
  const cut = text.length > PROXY_BOUNDS.echoedText ? `${text.slice(0, PROXY_BOUNDS.echoedText)}...` : text;
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeCharacter);
}

/** Text for a header value: printable ASCII only. */
function escapeAscii(text: string): string {
  return text.slice(0, PROXY_BOUNDS.echoedText).replace(/[^\x20-\x7e]/gu, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** A fatal alert in a record of its own (RFC 8446 section 6): level 2, then the description. */
export function tlsAlert(description: keyof typeof ALERTS): Buffer {
  return Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, ALERTS[description]]);
}

const ALERTS = {
  access_denied: 49,
  internal_error: 80,
} as const;
