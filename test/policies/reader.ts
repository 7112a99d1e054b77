/** A policy reader over files held in memory, with sand's own data from the checkout, and short ways to compile. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { compilePolicy, type FileReading, type PolicyReader } from '../../policies/compile.ts';
import { parseAuthority } from '../../policies/hostname.ts';
import { formatIssue } from '../../policies/issue.ts';
import type { CompiledPolicy, EgressRequest, PolicyInForce, PolicyIssue } from '../../policies/model.ts';
import { presetDirectory } from '../../policies/presets.ts';
import { parseRequestPath } from '../../policies/request-path.ts';
import type { PlainRequest } from './reference.ts';

export const DIRECTORY = '/project';

export function readShippedData(name: string): Uint8Array | null {
  try {
    return readFileSync(path.join(presetDirectory(), name));
  } catch {
    return null;
  }
}

export function memoryReader(
  files: Readonly<Record<string, string | Uint8Array | FileReading>> = {},
): PolicyReader {
  return {
    directory: DIRECTORY,
    readFile: (absolute) => {
      const content = files[absolute] ?? files[path.relative(DIRECTORY, absolute)];
      if (content === undefined) return { kind: 'missing' };
      if (typeof content === 'string') {
        return { kind: 'file', realPath: absolute, bytes: new TextEncoder().encode(content) };
      }
      return content instanceof Uint8Array ? { kind: 'file', realPath: absolute, bytes: content } : content;
    },
    readData: readShippedData,
  };
}

/** Compiles text as `policy.yaml`, beside other files. */
export function compileText(text: string | Uint8Array, files: Readonly<Record<string, string>> = {}) {
  return compilePolicy(
    [{ kind: 'text', text, file: 'policy.yaml', directory: DIRECTORY }],
    memoryReader(files),
  );
}

/** The compiled policy of text that is known to be right. */
export function policyOf(text: string, files: Readonly<Record<string, string>> = {}): CompiledPolicy {
  const compiled = compileText(text, files);
  if (!compiled.ok) throw new Error(compiled.issues.map(formatIssue).join('\n'));
  return compiled.value;
}

/** A policy of the given rules, in enforce mode. */
export function rulesPolicy(rules: string, head = ''): CompiledPolicy {
  return policyOf(`version: 1\n${head}rules:\n${rules}`);
}

export function inForce(policy: CompiledPolicy, ...ceilings: readonly CompiledPolicy[]): PolicyInForce {
  return { policy, ceilings };
}

/** The named issues of text that is known to be wrong, one a line, and the warnings of text that is right. */
export function issuesOf(
  text: string | Uint8Array,
  files: Readonly<Record<string, string>> = {},
): readonly string[] {
  const compiled = compileText(text, files);
  const issues: readonly PolicyIssue[] = compiled.ok ? (compiled.warnings ?? []) : compiled.issues;
  return issues.map(formatIssue);
}

/** A request in the words of the reference, as the evaluator takes it. */
export function egressOf({ host, port, protocol, http }: PlainRequest): EgressRequest {
  const authority = parseAuthority(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, null);
  if (!authority.ok) throw new Error(authority.reason);
  const request = { authority: authority.value, protocol };
  if (http === undefined) return request;
  return { ...request, http: { method: http.method, path: parseRequestPath(http.target) } };
}
