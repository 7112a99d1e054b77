/** The command tree as what a shell completes: for each command its commands, flags, and what its words are. Pure. */
import type { CommandTree } from '../program.ts';

/** What stands in a place: names that `sand complete` lists, files, a few words, or what only the person knows. */
export type Kind = 'guests' | 'policies' | 'presets' | 'groups' | 'places' | 'files' | 'free' | `=${string}`;

export interface CompletionNode {
  /** `policy set`; empty for sand itself. */
  readonly trail: string;
  readonly commands: readonly string[];
  readonly flags: readonly string[];
  /** Flags that take a value, long and short. */
  readonly values: readonly { readonly flag: string; readonly kind: Kind }[];
  /** Of each argument; the last one repeats where the command takes several. */
  readonly words: readonly Kind[];
  readonly repeats: boolean;
}

const FLAG_KINDS: Readonly<Record<string, Kind>> = {
  '--policy': 'policies',
  '--extend': 'policies',
  '--preset': 'presets',
  '--group': 'groups',
  '--file': 'files',
  '--output': 'files',
  '--mount': 'files',
  '--trust-ca': 'files',
  '--project-file': 'files',
  '--platform': '=linux/arm64 linux/amd64',
  '--guest': 'guests',
  '--kind': '=dns connection close inbound unplanted notice answer probe exec',
  '--by': '=requests bytes denied',
  'audit export --format': '=json jsonl csv ocsf otlp',
  '--share': '=ssh-agent gitconfig known-hosts npmrc',
};

const WORD_KINDS: Readonly<Record<string, Kind>> = {
  GUEST: 'guests',
  RUN: 'guests',
  RUN1: 'guests',
  RUN2: 'guests',
  POLICY: 'policies',
  FILE: 'files',
  OLD: 'policies',
  NEW: 'policies',
  SRC: 'places',
  DST: 'places',
  SHELL: '=bash zsh fish',
};

/** Depth first; hidden commands are none of a person's. */
export function completionTree(command: CommandTree, trail = ''): readonly CompletionNode[] {
  const shown = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help');
  const options = command.options.filter(({ hidden }) => !hidden);
  const words = command.registeredArguments;
  const node = {
    trail,
    commands: shown.map((one) => one.name()),
    flags: [...options.map(({ long, short }) => long ?? short ?? ''), '--help'],
    values: options
      .filter(({ required, optional }) => required || optional)
      .flatMap(({ long, short }) =>
        [long, short]
          .filter((flag) => flag !== undefined && flag !== null)
          .map((flag) => ({
            flag,
            kind: FLAG_KINDS[`${trail} ${long}`] ?? FLAG_KINDS[long ?? ''] ?? ('free' as const),
          })),
      ),
    words: words.map((word) => WORD_KINDS[word.name()] ?? (trail === 'policy groups' ? 'groups' : 'free')),
    repeats: words.at(-1)?.variadic === true,
  };
  return [node, ...shown.flatMap((one) => completionTree(one, `${trail} ${one.name()}`.trim()))];
}
