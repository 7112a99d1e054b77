/** Project files of the tests: one that says everything, and short ways to decode. */
import { decodeProjectFile } from '../../../controller/project-file/decode.ts';
import type { AskedSettings } from '../../../controller/project-file/merge.ts';
import type { ProjectFile } from '../../../controller/project-file/model.ts';
import { formatIssue } from '../../../policies/issue.ts';

export const EVERYTHING = `version: 1
name: web
backend: linux
image: ./images/node.tar
isolation: gvisor
user: 1000:1000
readOnly: true
policy: [strict, group:github-core, ./company.yaml]
mounts:
  - .
  - ../data:/data:ro
  - {source: ./assets, target: /assets, readOnly: true}
workdir: /project
environment:
  MODE: test
  PORT: 3000
  DEBUG: true
shares: [gitconfig]
secrets: [token=./token]
ports: ["8080:3000"]
trustCa: ./ca.pem
cache: true
resources: {cpus: 1.50, memory: 512MiB, pids: 256, disk: 10GiB}
timeout: 10m
phaseAfter: npm ci
command: [npm, test, 1, true]
platform: linux/amd64
volumes: [node_modules:./node_modules]
`;

export function decode(text: string): ProjectFile {
  const decoded = decodeProjectFile(text, 'sand.yaml');
  if (!decoded.ok) throw new Error(decoded.issues.map(formatIssue).join('\n'));
  return decoded.value;
}

/** A line for each issue. */
export function issuesOf(text: string | Uint8Array): readonly string[] {
  const decoded = decodeProjectFile(text, 'sand.yaml');
  return decoded.ok ? [] : decoded.issues.map(formatIssue);
}

export const NO_FLAGS: AskedSettings = {
  name: null,
  backend: null,
  image: null,
  platform: null,
  volumes: [],
  isolation: null,
  user: null,
  readOnly: null,
  policies: [],
  mounts: [],
  workdir: null,
  environment: {},
  shares: [],
  secrets: [],
  ports: [],
  trustCa: [],
  cache: null,
  resources: { cpus: null, memory: null, pids: null, disk: null },
  timeoutMs: null,
  phaseAfter: [],
  command: [],
};
