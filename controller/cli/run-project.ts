/**
 * The `sand.yaml` of a `sand run`: found or named, joined with its flags, and told with the place of each setting. What a
 * key of it does is the run's.
 */
import { homedir } from 'node:os';
import { locateProject } from '../project-file/locate.ts';
import type { AskedSettings } from '../project-file/merge.ts';
import { parseResourceFlags } from '../resources/flags.ts';
import type { RunRequest } from '../run/plan.ts';
import { parsePortFlags } from '../run/port-flag.ts';
import { parseSecretFlags } from '../run/secret-flag.ts';
import { workingFolder } from '../run/workspace.ts';
import type { RunFlags } from './run.ts';

/** The settings of a run that a project file may say as well. */
type FileSettings = Pick<
  RunRequest,
  | 'backend'
  | 'isolation'
  | 'policies'
  | 'mounts'
  | 'volumes'
  | 'platform'
  | 'workdir'
  | 'environment'
  | 'shares'
  | 'trustCa'
  | 'cache'
  | 'timeoutMs'
  | 'phaseAfter'
  | 'command'
  | 'name'
  | 'user'
  | 'readOnly'
  | 'image'
  | 'ports'
  | 'secrets'
  | 'resources'
>;

/** `request` as it is where there is no project file. Raises what `locateProject` and `openProject` do. */
export async function withProject<T extends FileSettings & Pick<RunRequest, 'told'>>(
  request: T,
  flags: FlagTexts & Pick<RunFlags, 'projectFile'>,
): Promise<T & Pick<RunRequest, 'project'>> {
  const cwd = workingFolder();
  const located = locateProject(flags.projectFile, cwd);
  if (located === null) return { ...request, project: null };
  // A run without such a file loads nothing of what reads one.
  const { openProject } = await import('../project-file/open.ts');
  const home = process.env.HOME ?? homedir();
  const context = { cwd, home, environ: process.env };
  const said = saidBy(request, flags);
  const { asked, origins, inForce } = await openProject(located, said, context);
  request.told(`project file: ${located.path}`);
  for (const { setting, from } of origins) request.told(`  ${setting}: ${from}`);
  return {
    ...request,
    project: inForce,
    backend: asked.backend ?? request.backend,
    isolation: asked.isolation ?? request.isolation,
    policies: asked.policies,
    mounts: asked.mounts,
    volumes: asked.volumes,
    platform: asked.platform,
    workdir: asked.workdir,
    environment: asked.environment,
    shares: asked.shares,
    trustCa: asked.trustCa,
    cache: asked.cache ?? false,
    timeoutMs: asked.timeoutMs,
    phaseAfter: asked.phaseAfter,
    command: asked.command,
    name: asked.name,
    user: asked.user,
    readOnly: asked.readOnly ?? false,
    image: asked.image,
    ports: parsePortFlags(asked.ports),
    secrets: parseSecretFlags(asked.secrets),
    resources: parseResourceFlags(known(asked.resources)),
  };
}

/** The flags whose text a project file may say in the same words. */
type FlagTexts = Pick<
  RunFlags,
  'backend' | 'isolation' | 'cache' | 'readOnly' | 'publish' | 'secret' | 'cpus' | 'memory' | 'pids' | 'disk'
>;

function known(texts: AskedSettings['resources']): Parameters<typeof parseResourceFlags>[0] {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== null));
}

function saidBy(request: FileSettings, flags: FlagTexts): AskedSettings {
  const { policies, mounts, workdir, environment, shares, trustCa, timeoutMs, phaseAfter, command } = request;
  return {
    ...{ policies, mounts, workdir, environment, shares, trustCa, timeoutMs, phaseAfter, command },
    backend: flags.backend ?? null,
    cache: flags.cache ?? null,
    name: request.name,
    image: request.image,
    platform: request.platform,
    volumes: request.volumes,
    ports: flags.publish,
    secrets: flags.secret,
    resources: {
      cpus: flags.cpus ?? null,
      memory: flags.memory ?? null,
      pids: flags.pids ?? null,
      disk: flags.disk ?? null,
    },
    isolation: flags.isolation === undefined ? null : request.isolation,
    user: request.user,
    readOnly: flags.readOnly ?? null,
  };
}
