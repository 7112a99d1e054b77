/** Keeps what a guest was given out of a comment: the runner masks logs and summaries, and knows nothing of comments. Pure. */

/** Shorter ones are words that occur by themselves. */
const SECRET_LENGTH = 6;

/** In any case of its letters, since a guest may ask for it as a hostname, and also where it stands as entities. */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  const values = secrets.flatMap((secret) => secret.split('\n')).map((line) => line.trim());
  const forms = values
    .filter((value) => value.length >= SECRET_LENGTH)
    .flatMap((value) => [value, asEntities(value, /[^A-Za-z0-9 ]/gu), asEntities(value, /[^\p{L}\p{N} ]/gu)])
    .sort((a, b) => b.length - a.length);
  return forms.reduce((shown, form) => shown.replace(new RegExp(literal(form), 'giu'), '***'), text);
}

function asEntities(text: string, pattern: RegExp): string {
  return text.replace(pattern, (character) => `&#${character.codePointAt(0) ?? 0};`);
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
