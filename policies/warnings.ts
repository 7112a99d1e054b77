/**
 * The closed list of what `sand policy check` finds unwise in a valid policy, by code. docs/policy-check.md explains
 * each, and a test holds the two together. Which rule deserves which is for `policies/check/`.
 */

export const WARNINGS = {
  'risky-host': 'the host takes data from anybody with an account',
  'user-content': 'the host serves what anybody publishes there',
  'broad-wildcard': 'a wildcard covers every name of a domain at any depth',
  'private-suffix': 'a wildcard covers names of every customer of a company',
  'broad-range': 'a range opens very many addresses',
  'host-loopback': 'a range opens the loopback of the host',
  'wide-tcp': 'bytes that sand does not read may go to any host under a wildcard',
  'cloud-metadata': 'the guest gets the credentials of a cloud instance',
  'report-mode': 'the policy refuses nothing that it does not deny by name',
  'report-rule': 'a deny rule refuses nothing',
  'mode-ignored': 'the mode has no effect, since the strictest holds',
  'shadowed-rule': 'a rule never allows anything, since a deny rule covers it',
  'redundant-rule': 'a rule adds nothing to what another rule says',
  'outside-ceiling': 'a rule never allows anything, since a ceiling of this machine does not',
  'expired-rule': 'a rule has passed its `until`',
  'expiring-rule': 'a rule passes its `until` within a week',
  'stale-lock': 'the lock was made of another policy, or of other data than this version of sand has',
  'check-bounded': 'there are too many rules to compare all of them with each other',
} as const;

export type WarningCode = keyof typeof WARNINGS;
