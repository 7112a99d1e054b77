/**
 * The commands of `sand policy`: names, flags and help texts. What a command does is in the file of its name, loaded
 * when it is called.
 */
import type { CommandTree, ProgramContext } from '../program.ts';
import { addDiff } from './diff-program.ts';

export function addPolicy(program: CommandTree, context: ProgramContext): void {
  const policy = program
    .command('policy')
    .summary('write, check, test and explain policies')
    .description('Works on policy files. Nothing here starts a guest.');
  addDiff(policy, context);
}
