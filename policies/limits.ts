/** Every bound of the policy language, with its reason. */
export const POLICY_LIMITS = {
  /** A policy is read by people; past this it is data, and parsing it costs seconds. */
  fileBytes: 4 * 1024 * 1024,
  /** `extends` chains are for layering, not for programs. */
  extendsDepth: 8,
  /** Files that one policy may pull in, itself included. */
  files: 64,
  /** YAML nesting: the language needs four levels. */
  depth: 16,
  /** A matcher's cost grows steeply with stars in one label. */
  starsPerLabel: 2,
  rules: 200_000,
} as const;
