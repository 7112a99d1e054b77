/**
 * What GitLab's shell executor makes of a job: `extends` joined as GitLab joins it, variables exported, and before_script and
 * script as one text that bash evaluates with an empty standard input. The form is that of gitlab-runner's shells/bash.go.
 */

export interface Job {
  readonly extends?: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly before_script?: readonly string[];
  readonly script?: readonly string[];
  readonly [other: string]: unknown;
}

/** Maps are joined, everything else is replaced. One level of `extends`, as the template has it. */
export function extendJob(job: Job, templates: Readonly<Record<string, Job>>): Job {
  const base = templates[job.extends ?? ''] ?? {};
  return { ...base, ...job, variables: { ...base.variables, ...job.variables } };
}

export function shellScript(job: Job, predefined: Readonly<Record<string, string>>): string {
  const all: Readonly<Record<string, string>> = { ...predefined, ...job.variables };
  const variables = Object.entries(all);
  const lines = [
    ...variables.map(([name, value]) => `export ${name}=${quote(value)}`),
    ...[...(job.before_script ?? []), ...(job.script ?? [])].flatMap((line) => [
      `echo ${quote(`$ ${line.split('\n')[0]}`)}`,
      line,
    ]),
  ];
  return [
    'if set -o | grep pipefail > /dev/null; then set -o pipefail; fi; set -o errexit',
    'set +o noclobber',
    all.FF_USE_NEW_BASH_EVAL_STRATEGY === 'true'
      ? `: | (eval ${quote(lines.join('\n'))})`
      : `: | eval ${quote(lines.join('\n'))}`,
    'exit 0',
    '',
  ].join('\n');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
