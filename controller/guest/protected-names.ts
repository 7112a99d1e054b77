/** What the host would later run or trust in a folder of a project. How it is kept from a guest is for each backend. */

/** Relative to a workspace's root. Hooks, settings that name programs, and what editors and agents obey. */
export const PROTECTED_NAMES: readonly string[] = [
  '.git/hooks',
  '.git/config',
  '.git/config.worktree',
  '.git/info/attributes',
  '.git/commondir',
  '.gitmodules',
  '.envrc',
  '.vscode',
  '.idea',
  '.devcontainer',
  '.devcontainer.json',
  '.claude',
  '.cursor',
  '.codex',
  '.gemini',
  '.windsurf',
  '.mcp.json',
  '.husky',
  '.pre-commit-config.yaml',
  'sand.policy.yaml',
  'sand.policy.lock',
  'sand.yaml',
  'sand.baseline.json',
];
