import { describe, expect, it } from 'vitest';
import { code } from '../../action/markdown.ts';
import { maskSecrets } from '../../action/masking.ts';

describe('a secret in a comment', () => {
  it.each(['sesame-1', 'p@ss.w[o]rd|$', 'a\\b(c)+?^', 'Zürich-Pässe', 'two words'])(
    'is masked: %s',
    (secret) => {
      const text = [secret, secret.toUpperCase(), code(`https://${secret}.example`), 'rest'].join('\n');
      const masked = maskSecrets(text, [secret]);
      expect(masked.split('\n')).toEqual(['***', '***', expect.stringContaining('***'), 'rest']);
    },
  );

  it('is masked line by line, and a short word is none', () => {
    expect(maskSecrets('first-line second-line true', ['first-line\nsecond-line', 'true', ''])).toBe(
      '*** *** true',
    );
  });
});
