/** Every bound of a project file that the YAML reading does not have already, with its reason. */
export const PROJECT_LIMITS = {
  /** Entries of one list: each is a line that a person who is asked reads. */
  entries: 64,
  /** Words of a command, and variables: more than any person writes. */
  words: 256,
  /** Characters of one text; a path has at most 4096. */
  textCharacters: 4096,
  /** A name of a guest becomes part of commands and file names. */
  nameCharacters: 64,
  /** A Dockerfile that a person reads before they say yes; the longest of well-known images stay below 40. */
  dockerfileBytes: 128 * 1024,
  /** Of what a policy opens, so many sentences are shown; the rest is counted, and `sand policy show` has it. */
  policySentences: 20,
} as const;
