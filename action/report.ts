/**
 * What `sand ci` and `sand policy` report as JSON, decoded into what the action shows. Later versions may add fields;
 * what is missing or of another type makes the whole report unreadable. Pure.
 */

export interface DeniedRow {
  readonly host: string;
  readonly port: number | null;
  readonly protocol: string | null;
  readonly count: number;
  readonly reason: string;
  /** Of the rule that denied, or where a rule would stand; null where sand knows neither. */
  readonly file: string | null;
  readonly line: number | null;
  readonly suggestion: string | null;
}

export interface CiReport {
  readonly run: string;
  readonly exitCode: number;
  readonly denied: readonly DeniedRow[];
  /** One sentence each. */
  readonly drift: readonly string[];
  /** What the policy asks for and a ceiling of the machine does not give, one sentence each. */
  readonly cuts: readonly string[];
  /** Where a rule would stand; null where only presets and flags speak. */
  readonly policyFile: string | null;
  readonly auditLog: string | null;
}

export interface PolicyDiff {
  readonly widens: number;
  readonly narrows: number;
  readonly changes: readonly {
    readonly direction: string;
    readonly text: string;
    readonly witness: string | null;
    readonly file: string | null;
    readonly line: number | null;
  }[];
}

export interface DoctorReport {
  readonly ok: boolean;
  readonly failed: readonly {
    readonly check: string;
    readonly message: string;
    readonly remedy: string | null;
  }[];
}

/** Null: not a report. */
export function parseCiReport(text: string): CiReport | null {
  const value = parseObject(text);
  if (value === null || typeof value.run !== 'string' || !Array.isArray(value.denied)) return null;
  const denied = value.denied.map(deniedRow);
  if (denied.some((row) => row === null) || typeof value.exitCode !== 'number') return null;
  return {
    run: value.run,
    exitCode: value.exitCode,
    denied: denied.filter((row) => row !== null),
    drift: list(value.drift).map(driftText),
    cuts: list(objectOf(value.ceiling)?.cuts).map(cutText),
    policyFile: stringOrNull(objectOf(value.policy)?.file),
    auditLog: stringOrNull(value.auditLog),
  };
}

function deniedRow(value: unknown): DeniedRow | null {
  const row = objectOf(value);
  if (row === null || typeof row.host !== 'string') return null;
  return {
    host: row.host,
    port: numberOrNull(row.port),
    protocol: stringOrNull(row.protocol),
    count: numberOrNull(row.count) ?? 1,
    reason: stringOrNull(row.reason) ?? 'denied',
    file: stringOrNull(row.file),
    line: numberOrNull(row.line),
    suggestion: stringOrNull(row.suggestion),
  };
}

function driftText(value: unknown): string {
  if (typeof value === 'string') return value;
  const row = objectOf(value);
  return stringOrNull(row?.text) ?? JSON.stringify(value);
}

function cutText(value: unknown): string {
  const { ceiling, witness } = objectOf(value) ?? {};
  const what = stringOrNull(witness) ?? 'what could not be compared';
  return `${stringOrNull(ceiling) ?? 'the ceiling'} does not allow ${what}`;
}

export function parsePolicyDiff(text: string): PolicyDiff | null {
  const value = parseObject(text);
  if (value === null || typeof value.widens !== 'number' || typeof value.narrows !== 'number') return null;
  const changes = list(value.changes).flatMap((entry) => {
    const change = objectOf(entry);
    if (change === null || typeof change.direction !== 'string' || typeof change.text !== 'string') return [];
    const place = objectOf(list(change.after)[0]);
    return [
      {
        direction: change.direction,
        text: change.text,
        witness: stringOrNull(objectOf(change.witness)?.text),
        file: stringOrNull(place?.file),
        line: numberOrNull(place?.line),
      },
    ];
  });
  return { widens: value.widens, narrows: value.narrows, changes };
}

export function parseDoctorReport(text: string): DoctorReport | null {
  const value = parseObject(text);
  if (value === null || typeof value.ok !== 'boolean' || !Array.isArray(value.findings)) return null;
  const failed = value.findings.flatMap((entry) => {
    const finding = objectOf(entry);
    if (finding?.state !== 'failed' || typeof finding.check !== 'string') return [];
    const message = stringOrNull(finding.message) ?? '';
    return [{ check: finding.check, message, remedy: stringOrNull(finding.remedy) }];
  });
  return { ok: value.ok, failed };
}

export function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return null;
  }
}

export function objectOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function stringOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
