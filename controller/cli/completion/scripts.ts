/**
 * The completion of bash, zsh and fish, generated from the command tree. Only names are asked of sand, by its hidden
 * command `complete`; everything else stands in the script. Pure.
 */
import type { CompletionNode, Kind } from './tree.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function formatCompletion(shell: Shell, tree: readonly CompletionNode[]): string {
  switch (shell) {
    case 'bash':
      return bash(tree);
    case 'zsh':
      return zsh(tree);
    case 'fish':
      return fish(tree);
  }
}

/** `commands`, `flags`, `values` as `--flag kind`, `kinds`: the same four in each shell's own spelling. */
function parts({ commands, flags, values, words, repeats }: CompletionNode) {
  return {
    commands: commands.join(' '),
    flags: flags.join(' '),
    values: values.map(({ flag, kind }) => ({ flag, kind: said(kind) })),
    kinds: words.map(said),
    last: repeats ? said(words.at(-1) ?? 'free') : 'none',
  };
}

/** One word: a few words of a flag are joined by commas. */
function said(kind: Kind): string {
  return kind.replaceAll(' ', ',');
}

function posixTable(tree: readonly CompletionNode[]): string {
  return tree
    .map((node) => {
      const { commands, flags, values, kinds, last } = parts(node);
      const takes = values.map(({ flag, kind }) => `${flag} ${kind}`).join('|');
      return `    '${node.trail}') commands='${commands}' flags='${flags}' takes='|${takes}|' kinds='${[...kinds, last].join(' ')}' ;;\n`;
    })
    .join('');
}

function bash(tree: readonly CompletionNode[]): string {
  return `# sand's completion for bash: source <(sand completion bash)
_sand_at() {
  case $1 in
${posixTable(tree)}    *) commands= flags= takes='||' kinds=none ;;
  esac
}
_sand_offer() {
  local kind=$1 cur=$2 names=
  case $kind in
    guests|presets|groups|policies) names=$("$sand" complete "$kind" 2>/dev/null) ;;
    places) names=$("$sand" complete guests 2>/dev/null | sed 's/$/:\\//') ;;
    =*) names=\${kind#=}; names=\${names//,/ } ;;
  esac
  local IFS=$'\\n'
  [[ -z $names ]] || COMPREPLY+=($(IFS=$' \\n'; compgen -W "$names" -- "$cur"))
  case $kind in places|policies|files) COMPREPLY+=($(compgen -f -- "$cur")) ;; esac
}
_sand() {
  local sand=$1 line=\${COMP_LINE:0:COMP_POINT} commands flags takes kinds words n at word trail= position=0 value cut
  read -ra words <<< "$line"
  [[ $line != *[[:space:]] ]] || words+=('')
  n=\${#words[@]}
  local cur=\${words[n-1]}
  COMPREPLY=()
  _sand_at ''
  for (( at = 1; at < n - 1; at++ )); do
    word=\${words[at]}
    if [[ $word == -- ]]; then COMPREPLY=($(compgen -f -- "$cur")); return; fi
    if [[ $word == -* ]]; then
      value=\${takes#*"|$word "}
      if [[ $value != "$takes" ]]; then
        at=$((at + 1))
        if (( at == n - 1 )); then _sand_offer "\${value%%|*}" "$cur"; _sand_cut; return; fi
      fi
    elif [[ " $commands " == *" $word "* ]]; then
      trail="\${trail:+$trail }$word"; position=0; _sand_at "$trail"
    else
      position=$((position + 1))
    fi
  done
  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$cur")); return; fi
  COMPREPLY=($(compgen -W "$commands" -- "$cur"))
  local -a kind=($kinds)
  (( position < \${#kind[@]} )) || position=$((\${#kind[@]} - 1))
  _sand_offer "\${kind[position]}" "$cur"
  _sand_cut
}
# readline takes a colon for the end of a word, and puts what is offered behind it.
_sand_cut() {
  [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] || return 0
  cut=\${cur%"\${cur##*:}"}
  COMPREPLY=("\${COMPREPLY[@]#"$cut"}")
}
complete -o filenames -o nosort -F _sand sand 2>/dev/null || complete -o filenames -F _sand sand
`;
}

function zsh(tree: readonly CompletionNode[]): string {
  return `#compdef sand
# sand's completion for zsh: sand completion zsh > a file _sand in a folder of $fpath, or source it after compinit
_sand_at() {
  case $1 in
${posixTable(tree)}    *) commands= flags= takes='||' kinds=none ;;
  esac
}
_sand_offer() {
  local kind=$1
  local -a names
  case $kind in
    guests|presets|groups|policies) names=(\${(f)"$($sand complete $kind 2>/dev/null)"}) ;;
    places) names=(\${^\${(f)"$($sand complete guests 2>/dev/null)"}}:/) ;;
    '='*) names=(\${(s:,:)\${kind#'='}}) ;;
  esac
  (( \${#names} )) && compadd -- $names
  case $kind in places|policies|files) _files ;; esac
  return 0
}
_sand() {
  local sand=$words[1] commands flags takes kinds word trail= value
  local -i at position=1
  _sand_at ''
  for (( at = 2; at < CURRENT; at++ )); do
    word=$words[at]
    if [[ $word == -- ]]; then _files; return; fi
    if [[ $word == -* ]]; then
      value=\${takes#*"|$word "}
      if [[ $value != $takes ]]; then
        at+=1
        if (( at == CURRENT )); then _sand_offer \${value%%\\|*}; return; fi
      fi
    elif [[ " $commands " == *" $word "* ]]; then
      trail="\${trail:+$trail }$word" position=1
      _sand_at $trail
    else
      position+=1
    fi
  done
  if [[ $words[CURRENT] == -* ]]; then compadd -- \${=flags}; return; fi
  [[ -z $commands ]] || compadd -- \${=commands}
  local -a kind=(\${=kinds})
  (( position <= \${#kind} )) || position=\${#kind}
  _sand_offer $kind[position]
}
if [[ $funcstack[1] == _sand ]]; then _sand "$@"; elif (( $+functions[compdef] )); then compdef _sand sand; fi
`;
}

function fish(tree: readonly CompletionNode[]): string {
  const table = tree
    .map((node) => {
      const { commands, flags, values, kinds, last } = parts(node);
      const takes = values.map(({ flag, kind }) => `'${flag} ${kind}'`).join(' ');
      return `        case '${node.trail}'
            set commands ${commands}
            set flags ${flags}
            set takes ${takes}
            set kinds ${[...kinds, last].join(' ')}
`;
    })
    .join('');
  return `# sand's completion for fish: sand completion fish > ~/.config/fish/completions/sand.fish
function __sand_at --no-scope-shadowing
    switch "$argv[1]"
${table}    end
end
function __sand_offer
    set -l kind $argv[1]
    switch $kind
        case guests presets groups policies
            command sand complete $kind 2>/dev/null
        case places
            command sand complete guests 2>/dev/null | string replace -r '$' ':/'
        case '=*'
            string split , -- (string sub -s 2 -- $kind)
    end
    if contains -- $kind places policies files
        __fish_complete_path (commandline -ct)
    end
end
function __sand_complete
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    set -l commands
    set -l flags
    set -l takes
    set -l kinds
    set -l trail ''
    set -l position 1
    set -l awaited ''
    __sand_at ''
    for word in $words[2..-1]
        if test -n "$awaited"
            set awaited ''
        else if test "$word" = --
            __fish_complete_path $cur
            return
        else if string match -q -- '-*' $word
            for take in $takes
                set -l pair (string split ' ' -- $take)
                test "$pair[1]" = "$word"; and set awaited $pair[2]
            end
        else if contains -- $word $commands
            set trail (string trim -- "$trail $word")
            set position 1
            __sand_at $trail
        else
            set position (math $position + 1)
        end
    end
    if test -n "$awaited"
        __sand_offer $awaited
        return
    end
    if string match -q -- '-*' $cur
        printf '%s\\n' $flags
        return
    end
    test (count $commands) -gt 0; and printf '%s\\n' $commands
    test $position -le (count $kinds); or set position (count $kinds)
    __sand_offer $kinds[$position]
end
complete -c sand -f -a '(__sand_complete)'
`;
}
