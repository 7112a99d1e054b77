/**
 * The commands of `sand policy`: names, flags and help texts. What a command does is in the file of its name, loaded
 * when it is called.
 */
import type { CommandTree, ProgramContext } from '../program.ts';
import { addChanges } from './change-program.ts';
import { addDiff } from './diff-program.ts';
import { addSet } from './set-program.ts';

const list = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function addPolicy(program: CommandTree, context: ProgramContext): void {
  const policy = program
    .command('policy')
    .summary('write, check, test and explain policies')
    .description(
      'Works on policy files, and with set on the policy of a guest. Nothing here starts a guest.',
    );
  addChanges(policy, context);
  addCheck(policy, context);
  addShow(policy, context);
  addLock(policy, context);
  addTest(policy, context);
  addFmt(policy, context);
  addInit(policy, context);
  addSchema(policy, context);
  addGroups(policy, context);
  addDiff(policy, context);
  addSet(policy, context);
}

interface CheckOptions {
  readonly strict: boolean;
  readonly format: string;
  readonly json: boolean;
}

function addCheck(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('check')
    .summary('tell what is wrong or unwise in policies')
    .description(
      'Tells every issue of each policy with its line, and what to write. Exit 1 on errors, 2 for what cannot be read.',
    )
    .argument('[FILE...]', 'policy files, presets or groups (default: the found sand.policy.yaml)')
    .option('--strict', 'exit 1 on warnings as well', false)
    .option('--format <F>', 'text, json or sarif', 'text')
    .option('--json', 'the same as --format json', false)
    .action(async (files: readonly string[], { strict, format, json }: CheckOptions) => {
      const [{ checkPolicies }, { readSurroundings }] = await Promise.all([
        import('./check.ts'),
        import('./surroundings.ts'),
      ]);
      const flags = { files, strict, format: json ? 'json' : format };
      context.finish(checkPolicies(flags, readSurroundings(context.write)));
    });
}

function addShow(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('show')
    .summary('show the policy in force')
    .description('Shows what a run in this folder would use, as a policy, with the origin of every line.')
    .argument('[POLICY...]', 'as --policy of run')
    .option('--allow <HOST>', 'as for run', list, [])
    .option('--resolved', 'the rules of presets and groups in place of their names', false)
    .option('--json', 'print JSON', false)
    .action(
      async (
        policies: readonly string[],
        flags: { readonly allow: string[]; readonly resolved: boolean; readonly json: boolean },
      ) => {
        const [{ showPolicy }, { readSurroundings }] = await Promise.all([
          import('./show.ts'),
          import('./surroundings.ts'),
        ]);
        context.finish(showPolicy({ policies, ...flags }, readSurroundings(context.write)));
      },
    );
}

function addLock(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('lock')
    .summary('freeze what a policy extends')
    .description('Writes beside a policy what its presets and groups say now, and the digests of its files.')
    .argument('[FILE]', 'a policy file (default: the found sand.policy.yaml)')
    .option('--check', 'write nothing, and exit 1 where the lock is missing or stale', false)
    .action(async (file: string | undefined, flags: { readonly check: boolean }) => {
      const [{ lockPolicy }, { readSurroundings }] = await Promise.all([
        import('./lock.ts'),
        import('./surroundings.ts'),
      ]);
      context.finish(lockPolicy({ file, ...flags }, readSurroundings(context.write)));
    });
}

function addTest(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('test')
    .summary('hold policies to tables of expected verdicts')
    .description('Judges the requests of *.policy-test.yaml files. Exit 1 where something comes otherwise.')
    .argument('<FILE...>', 'tables')
    .option('--format <F>', 'text, json or junit', 'text')
    .action(async (files: readonly string[], flags: { readonly format: string }) => {
      const [{ testPolicies }, { readSurroundings }] = await Promise.all([
        import('./test.ts'),
        import('./surroundings.ts'),
      ]);
      context.finish(testPolicies({ files, ...flags }, readSurroundings(context.write)));
    });
}

function addFmt(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('fmt')
    .summary('write policies in their canonical form')
    .description(
      'Puts keys, quotes and spacing of policy files in order. Comments, rules and their order stay.',
    )
    .argument('[FILE...]', 'policy files (default: the found sand.policy.yaml)')
    .option('--check', 'write nothing, and exit 1 where a file would change', false)
    .action(async (files: readonly string[], flags: { readonly check: boolean }) => {
      const [{ formatPolicies }, { readSurroundings }] = await Promise.all([
        import('./fmt.ts'),
        import('./surroundings.ts'),
      ]);
      context.finish(formatPolicies({ files, ...flags }, readSurroundings(context.write)));
    });
}

interface InitOptions {
  readonly preset?: string;
  readonly group: string[];
  readonly allow: string[];
  readonly deny: string[];
  readonly name?: string;
  readonly output?: string;
}

function addInit(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('init')
    .summary('write a first policy')
    .description(
      'Writes sand.policy.yaml from flags, or on a terminal from a few questions. Overwrites nothing.',
    )
    .option('--preset <P>', 'what to begin with (default: strict)')
    .option('--group <G>', 'a group besides, as npm or github-core/all; repeat it for several', list, [])
    .option('--allow <HOST>', 'a host besides, as HOST or HOST:PORT', list, [])
    .option('--deny <HOST>', 'a host that is denied', list, [])
    .option('--name <NAME>', 'the name of the policy')
    .option('--output <FILE>', 'where it is written (default: sand.policy.yaml)')
    .action(async ({ preset, name, output, ...lists }: InitOptions) => {
      const [{ initPolicy, terminalQuestions }, { readSurroundings }] = await Promise.all([
        import('./init.ts'),
        import('./surroundings.ts'),
      ]);
      const isSaid = preset !== undefined || Object.values(lists).some((values) => values.length > 0);
      const ask = isSaid ? null : terminalQuestions();
      const flags = { ...lists, preset, name, output, ask };
      context.finish(await initPolicy(flags, readSurroundings(context.write)));
    });
}

function addSchema(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('schema')
    .summary('print the JSON Schema of policy files')
    .description('Prints the JSON Schema (2020-12) by which editors complete and check policy files.')
    .action(async () => {
      const { printSchema } = await import('./schema.ts');
      context.finish(printSchema(context.write));
    });
}

function addGroups(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('groups')
    .summary('show what presets and groups hold')
    .description(
      'Lists the presets and groups, or shows one: its hosts, where they come from, and their risks.',
    )
    .argument('[NAME]', 'a preset or a group')
    .option('--json', 'print JSON', false)
    .action(async (name: string | undefined, flags: { readonly json: boolean }) => {
      const [{ showGroups }, { readSurroundings }] = await Promise.all([
        import('./groups.ts'),
        import('./surroundings.ts'),
      ]);
      context.finish(showGroups({ name, ...flags }, readSurroundings(context.write)));
    });
}
