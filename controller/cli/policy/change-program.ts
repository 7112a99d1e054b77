/** The commands of `sand policy` that write a policy file: names, flags and help texts. */
import type { Rule } from '../../../policies/model.ts';
import type { CommandTree, ProgramContext } from '../program.ts';
import type { ChangeFlags } from './change.ts';
import type { LearnFlags } from './learn.ts';

const SUMMARIES: Readonly<Record<Rule['verb'], string>> = {
  allow: 'write a rule that allows hosts',
  deny: 'write a rule that denies hosts, whatever allows them',
  mute: 'write a rule that keeps hosts out of reports',
};

const list = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function addChanges(policy: CommandTree, context: ProgramContext): void {
  addChange(policy, context, 'allow')
    .option('--for <T>', 'for this long from now on: 30m, 2h, 7d')
    .option('--until <T>', 'until then: 2027-01-31T18:00:00Z')
    .option('--tcp <PORTS>', 'bytes that sand does not read, on these ports: 5432 or 6000-6010', list, [])
    .option('--http <PORTS>', 'plain HTTP on these ports', list, [])
    .option('--https <PORTS>', 'https on these ports', list, [])
    .option('--method <M>', 'of plain HTTP this method alone; several add up', list, [])
    .option('--path <P>', 'of plain HTTP this path alone, with * and **; several add up', list, [])
    .option('--address <RANGE>', 'the name may lead to these addresses only, private ones too', list, []);
  addChange(policy, context, 'deny');
  addChange(policy, context, 'mute');
  addLearn(policy, context);
}

function addLearn(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('learn')
    .summary('write the rules that runs needed and the policy lacks')
    .description(
      'Reads what runs (the last one) asked for, and adds the fewest rules that admit it. Shows, asks and writes as allow does.',
    )
    .argument('[RUN...]', 'runs, or the beginnings of their names, or paths of their logs')
    .option('--extend <NAME>', 'extend this preset or group first; several add up', list, [])
    .option('--wildcards', 'join names below one parent in a wildcard', false)
    .option(
      '--file <FILE>',
      'the policy file (default: the found sand.policy.yaml); one that is not there is made',
    )
    .option('--yes', 'write without asking', false)
    .option('--json', 'print JSON, and ask nobody', false)
    .action(async (runs: readonly string[], flags: LearnFlags) => {
      const [{ learnPolicy }, { terminalQuestion }, { readSurroundings }] = await Promise.all([
        import('./learn.ts'),
        import('./proposal.ts'),
        import('./surroundings.ts'),
      ]);
      const surroundings = readSurroundings(context.write);
      const ask = terminalQuestion(surroundings.environ);
      context.finish(await learnPolicy({ runs, flags }, { ask }, surroundings));
    });
}

function addChange(policy: CommandTree, context: ProgramContext, verb: Rule['verb']): CommandTree {
  return policy
    .command(verb)
    .summary(SUMMARIES[verb])
    .description(
      `Shows what the change opens and closes, asks, and writes. Without a terminal it prints the patch and exits with 1.`,
    )
    .argument(
      '<HOST...>',
      verb === 'allow' ? 'HOST or HOST:PORT, patterns, addresses' : 'hosts, patterns, addresses',
    )
    .option('--because <TEXT>', 'a reason, for whoever reads the file')
    .option('--phase <NAME>', 'in the rules of this phase')
    .option('--remove', `take the hosts out of the ${verb} rules instead`, false)
    .option(
      '--file <FILE>',
      'the policy file (default: the found sand.policy.yaml); one that is not there is made',
    )
    .option('--yes', 'write without asking', false)
    .option('--json', 'print JSON, and ask nobody', false)
    .action(async (hosts: readonly string[], flags: ChangeFlags) => {
      const [{ changePolicy }, { terminalQuestion }, { readSurroundings }] = await Promise.all([
        import('./change.ts'),
        import('./proposal.ts'),
        import('./surroundings.ts'),
      ]);
      const surroundings = readSurroundings(context.write);
      const ask = terminalQuestion(surroundings.environ);
      context.finish(await changePolicy({ verb, hosts, flags }, { ask }, surroundings));
    });
}
