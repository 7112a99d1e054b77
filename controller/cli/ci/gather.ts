/** Gathers what the reports of `sand ci` tell besides the rows of the run: who asked, and where a rule would stand. */
import { readFileSync } from 'node:fs';
import { isAbsolute, relative, resolve } from 'node:path';
import type { ProcessFact } from '../../../audit/event.ts';
import { readAuditLog } from '../../../audit/read.ts';
import { howOf } from '../../../audit/summary.ts';
import { isFileName } from '../../../policies/layer.ts';
import { keyOf } from '../../ci/baseline.ts';
import type { PolicyPlace } from '../../ci/denials.ts';
import { CI_LIMITS } from '../../ci/limits.ts';
import { findPolicy } from '../../run/policy-choice.ts';

/** The first process that was denied each thing, by `keyOf`. None where the log cannot be read any more: it decides nothing. */
export async function readProcesses(auditPath: string): Promise<ReadonlyMap<string, ProcessFact>> {
  const processes = new Map<string, ProcessFact>();
  try {
    for await (const line of readAuditLog(auditPath)) {
      if (!line.ok || (line.event.kind !== 'dns' && line.event.kind !== 'connection')) continue;
      const { event } = line;
      if (event.process === undefined || event.asker !== 'guest') continue;
      const { reason } = event;
      const key =
        event.kind === 'dns'
          ? keyOf({ host: event.name, port: null, protocol: 'dns', reason })
          : keyOf({ host: event.host, port: event.port, protocol: howOf(event), reason });
      if (processes.size < CI_LIMITS.processes && !processes.has(key)) processes.set(key, event.process);
    }
  } catch {}
  return processes;
}

/** The one policy file that is named, else the one that is found; null where only presets and flags speak. */
export function placeOfRules(policies: readonly string[], cwd: string): PolicyPlace | null {
  const named = policies.find(isFileName);
  const path = named ?? (policies.length === 0 ? (findPolicy({ cwd })?.path ?? null) : null);
  if (path === null) return null;
  const absolute = resolve(cwd, path);
  const here = relative(cwd, absolute);
  const file = here.startsWith('..') || isAbsolute(here) ? absolute : here;
  return { file, line: lineOfRules(absolute) };
}

/** 1 where the file has none, or has gone. */
function lineOfRules(path: string): number {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    return (
      Math.max(
        0,
        lines.findIndex((line) => /^rules\s*:/.test(line)),
      ) + 1
    );
  } catch {
    return 1;
  }
}
