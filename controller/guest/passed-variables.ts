/** Of the caller's variables these pass into a guest as they are. None of them carries a secret, or a path, by its meaning. */
const PASSED: readonly string[] = [
  'TERM',
  'COLORTERM',
  'LANG',
  'LANGUAGE',
  'TZ',
  'NO_COLOR',
  'FORCE_COLOR',
  'CI',
  'DEBIAN_FRONTEND',
  'SOURCE_DATE_EPOCH',
];

export function isPassed(name: string): boolean {
  return PASSED.includes(name) || name.startsWith('LC_');
}
