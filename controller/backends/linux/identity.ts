/** Who the guest is in its own eyes: what was asked for, else the caller, or for a root caller an ordinary user. */
import { userInfo } from 'node:os';
import type { GuestUser } from '../backend.ts';
import type { GuestIdentity } from './mounts.ts';

/** As uid 0 inside, `tar x` of foreign-owned archives fails and tools behave as for a system install. */
const ROOT_CALLERS_GUEST = 1000;

/** To the host the guest is the caller whatever `asked` says: it is the one user that its namespace maps. */
export function guestIdentity(asked: GuestUser | null): GuestIdentity {
  const uid = process.getuid?.() ?? ROOT_CALLERS_GUEST;
  const gid = process.getgid?.() ?? ROOT_CALLERS_GUEST;
  const home = process.env.HOME ?? homeOf();
  if (asked !== null) return { ...asked, user: asked.uid === 0 ? 'root' : 'sand', home };
  if (uid === 0) return { uid: ROOT_CALLERS_GUEST, gid: ROOT_CALLERS_GUEST, user: 'sand', home };
  return { uid, gid, user: 'sand', home };
}

/** A user without a passwd line has no home; its guest gets one all the same. */
function homeOf(): string {
  try {
    return userInfo().homedir;
  } catch {
    return '/home/sand';
  }
}
