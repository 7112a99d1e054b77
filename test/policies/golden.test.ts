import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../policies/address.ts';
import { parseDocument } from '../../policies/document.ts';
import type { PolicyNode } from '../../policies/document-tree.ts';
import { evaluate, evaluateAddress } from '../../policies/evaluate.ts';
import { parseAuthority } from '../../policies/hostname.ts';
import type { CompiledPolicy, EgressRequest } from '../../policies/model.ts';
import { parseRequestPath } from '../../policies/request-path.ts';
import { inForce, policyOf } from './reader.ts';

const FOLDER = fileURLToPath(new URL('./golden/', import.meta.url));

/** One file: a policy, and requests as `HOST:PORT [PROTOCOL [METHOD PATH]] [-> ADDRESS]: DECISION REASON [PROTOCOLS]`. */
interface GoldenCase {
  readonly policy: string;
  /** What the policy extends, by name. */
  readonly files?: Readonly<Record<string, string>>;
  readonly requests: Readonly<Record<string, string>>;
}

function plain(node: PolicyNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plain);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]));
}

function readCase(file: string): GoldenCase {
  const parsed = parseDocument(readFileSync(path.join(FOLDER, file)), file);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  return plain(parsed.value) as GoldenCase;
}

function answer(policy: CompiledPolicy, request: string): string {
  const [question = '', dialled] = request.split(' -> ');
  const [host = '', protocol, method, target] = question.split(' ');
  const authority = parseAuthority(host, 443);
  if (!authority.ok) return `refused, ${authority.reason}`;
  const force = inForce(policy);
  const spoken = protocol === 'http' || protocol === 'https' || protocol === 'tcp' ? protocol : null;
  const asked: EgressRequest = { authority: authority.value, protocol: spoken };
  const isRequest = method !== undefined && target !== undefined;
  const http = isRequest ? { http: { method, path: parseRequestPath(target) } } : {};
  const verdict = evaluate(force, { ...asked, ...http }, Date.UTC(2027, 0, 1));
  if (dialled === undefined) return [verdict.decision, verdict.reason, ...verdict.protocols].join(' ');
  const address = parseAddress(dialled);
  if (!address.ok) throw new Error(dialled);
  const { decision, reason } = evaluateAddress(force, verdict, address.value, []);
  return `${decision} ${reason}`;
}

describe('golden cases', () => {
  for (const file of readdirSync(FOLDER)) {
    test(file, () => {
      const { policy: text, files, requests } = readCase(file);
      const policy = policyOf(text, files);
      const answers = Object.keys(requests).map((request) => [request, answer(policy, request)]);
      expect(Object.fromEntries(answers)).toEqual(requests);
    });
  }
});
