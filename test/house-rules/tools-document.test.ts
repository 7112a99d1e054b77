import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { planAuthorities, planProxyVariables, TOOLS, type Tool } from '../../controller/guest/tools.ts';
import { LINK } from '../../controller/links/namespace/topology.ts';
import { ROOT } from './tree.ts';

const text = readFileSync(join(ROOT, 'docs/tools.md'), 'utf8');

/** The rows of the table in the section of a heading, without its head. */
function rowsBelow(heading: string): readonly string[] {
  const [section = ''] = text.slice(text.indexOf(`\n## ${heading}\n`) + 1).split(/\n(?=## )/, 1);
  return section.split('\n').filter((line) => line.startsWith('| ') && !/^\| (tool|variable) \|/.test(line));
}

const LISTS: Readonly<Record<string, string>> = { system: 'the system’s bundle', java: 'the JVM’s list' };
const code = (word: string) => LISTS[word] ?? `\`${word}\``;

function formatRow(tool: Tool): string {
  const remarks = [tool.remark, tool.tried ? '' : 'by its documentation, not tried'];
  const cells = [
    tool.name,
    tool.proxy.map(code).join(' ') || 'none',
    tool.authorities.map(code).join(', '),
    remarks.filter((remark) => remark !== '').join('; '),
  ];
  return `| ${cells.join(' | ')} |`.replace(/ {2,}/g, ' ');
}

describe('docs/tools.md', () => {
  it('has a row for each tool of the table, as the table says', () => {
    expect(rowsBelow('Every tool')).toEqual(TOOLS.map(formatRow));
  });

  it('has every variable that is set, with its value, and no other', () => {
    const set = {
      ...planProxyVariables(`http://${LINK.gateway4}:${LINK.proxyPort}`),
      ...planAuthorities([], null).environment,
    };
    const rows = rowsBelow('What sand sets');
    const named = rows.flatMap((row) =>
      [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name),
    );
    const capitals = ['http_proxy', 'https_proxy', 'all_proxy'].map((name) => name.toUpperCase());
    expect([...named, ...capitals].toSorted()).toEqual(Object.keys(set).toSorted());
    for (const [name, value] of Object.entries(set)) {
      const row = rows.find((line) =>
        line.includes(`\`${capitals.includes(name) ? name.toLowerCase() : name}\``),
      );
      expect(row).toContain(`\`${value}\``);
    }
  });
});
