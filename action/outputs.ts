/** What the action sets for later steps: no guest can set these. A test holds action.yml to the list. */
export const OUTPUTS: readonly string[] = [
  ...['denied', 'drift', 'run', 'exit-code', 'audit-log', 'report-json', 'report-sarif', 'report-markdown'],
  ...['shell', 'widens', 'narrows'],
];
