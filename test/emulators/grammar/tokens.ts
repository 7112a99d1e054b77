/** Splits a command line into tokens as swift-argument-parser does, before anything is known of the command. */

export type Token =
  | { readonly kind: 'value'; readonly text: string; readonly at: number }
  | { readonly kind: 'terminator'; readonly at: number }
  | {
      readonly kind: 'option';
      /** With its dashes. */
      readonly name: string;
      /** Null where none is attached; an empty one counts as none. */
      readonly attached: string | null;
      /** Whether it is one letter of a pack such as `-it` that others follow. */
      readonly isFollowed: boolean;
      readonly at: number;
    };

/** The whole line is refused for one argument of a wrong form before the terminator, wherever it stands. */
export type Tokens =
  | { readonly ok: true; readonly tokens: readonly Token[] }
  | { readonly ok: false; readonly message: string };

export function splitArguments(words: readonly string[]): Tokens {
  const tokens: Token[] = [];
  for (const [at, word] of words.entries()) {
    if (word === '--') {
      const rest = words
        .slice(at + 1)
        .map((text, index): Token => ({ kind: 'value', text, at: at + 1 + index }));
      return { ok: true, tokens: [...tokens, { kind: 'terminator', at }, ...rest] };
    }
    if (word.startsWith('---') || word.startsWith('-='))
      return { ok: false, message: `Invalid option: ${word}` };
    if (!word.startsWith('-') || word === '-') tokens.push({ kind: 'value', text: word, at });
    else if (word.startsWith('--')) tokens.push(splitNamed(word, at));
    else tokens.push(...splitShort(word, at));
  }
  return { ok: true, tokens };
}

function splitNamed(word: string, at: number): Token {
  const equals = word.indexOf('=');
  const name = equals < 0 ? word : word.slice(0, equals);
  const attached = equals < 0 ? '' : word.slice(equals + 1);
  return { kind: 'option', name, attached: attached === '' ? null : attached, isFollowed: false, at };
}

function splitShort(word: string, at: number): readonly Token[] {
  if (word[2] === '=') return [splitNamed(word, at)];
  const letters = [...word.slice(1)];
  return letters.map((letter, index) => ({
    kind: 'option',
    name: `-${letter}`,
    attached: null,
    isFollowed: index < letters.length - 1,
    at,
  }));
}
