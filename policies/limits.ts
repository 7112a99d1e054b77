/** Every bound of the policy language, with its reason. */
export const POLICY_LIMITS = {
  /** A policy is read by people; past this it is data, and parsing it costs seconds. */
  fileBytes: 4 * 1024 * 1024,
  /** `extends` chains are for layering, not for programs. */
  extendsDepth: 8,
  /** Files that one policy may pull in, itself included. */
  files: 64,
  /** Files, and presets and groups, in a lock: a policy has at most 64 files, and sand ships about a hundred names. */
  lockEntries: 256,
  /** YAML nesting: the language needs four levels. */
  depth: 16,
  /** YAML tokens of a file: the longest policy needs about eleven for each rule, and each costs microseconds. */
  tokens: 2_400_000,
  /** Characters of one YAML token: the longest value of a policy is a few hundred. */
  tokenCharacters: 8192,
  /** A matcher's cost grows steeply with stars in one label. */
  starsPerLabel: 2,
  rules: 200_000,
  /** Distinct ports that the rules of one policy may name: each becomes a listener in the guest's namespace. */
  ports: 512,
  /** Phases of a policy: a person writes them, and each is a policy of its own. */
  phases: 16,
  /** Methods of one rule: RFC 9110 and WebDAV together have fewer. */
  methods: 64,
  /** Paths of one rule: each request is compared with all of them. */
  paths: 256,
  /** Of one path: longer ones are data, and `*` stands for those. */
  pathCharacters: 1024,
  /** Issues reported for one file: past this the first ones are what a person fixes. */
  issues: 50,
  /** A name becomes part of rule ids and file names. */
  nameCharacters: 64,
  /** `because` is one line of a report. */
  becauseCharacters: 300,
  /** Text of one pattern, name or address before it is parsed; the longest legal name has 253 characters. */
  hostCharacters: 1024,
} as const;
