/** Finds whom a process runs as in the guest's own passwd and group files, as the tool's guest agent does. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { User } from '../../containers.ts';
import { Failure } from '../../failure.ts';

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Null without a line in passwd. */
  readonly home: string | null;
}

/** Of several folders over each other the top one that has the file counts. */
export function findUser(
  roots: readonly string[],
  user: User,
  supplementalGroups: readonly number[],
): Credentials {
  const passwd = linesOf(roots, 'etc/passwd');
  if ('id' in user) {
    const { uid, gid } = user.id;
    const line = passwd.find((fields) => fields[2] === String(uid));
    return { uid, gid, groups: supplementalGroups, home: line?.[5] ?? null };
  }
  const { userString } = user.raw;
  const [name = '', group] = userString.split(':', 2);
  const isNumber = /^\d+$/.test(name);
  const line = passwd.find((fields) => (isNumber ? fields[2] : fields[0]) === (name === '' ? 'root' : name));
  if (line === undefined && !isNumber && name !== '') {
    throw new Failure(`unable to find user ${userString}: no matching entries in passwd file`);
  }
  const groupLines = linesOf(roots, 'etc/group');
  const uid = isNumber ? Number(name) : Number(line?.[2] ?? 0);
  const gid = group === undefined ? Number(line?.[3] ?? 0) : findGroup(groupLines, group);
  const member = groupLines.filter(
    (fields) => line !== undefined && fields[3]?.split(',').includes(line[0] ?? ''),
  );
  const groups = [...new Set([...supplementalGroups, ...member.map((fields) => Number(fields[2]))])];
  return { uid, gid, groups, home: line?.[5] ?? null };
}

function findGroup(lines: readonly (readonly string[])[], group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  const line = lines.find(([name]) => name === group);
  if (line === undefined)
    throw new Failure(`unable to find group ${group}: no matching entries in group file`);
  return Number(line[2]);
}

function linesOf(roots: readonly string[], name: string): readonly (readonly string[])[] {
  const path = roots.map((root) => join(root, name)).find((candidate) => existsSync(candidate));
  if (path === undefined) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
}
