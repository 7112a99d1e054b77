/*
 * What a workload may keep, and giving up all else for good. A process that reaches PID 1 or a command after this can
 * get nothing back: not by a program with file capabilities or a set-user-id bit, since the bounding set is cut too.
 */
#include "relay.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C(1) << (capability))
static const uint64_t KEPT = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |
                             BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) | BIT(CAP_SETFCAP) |
                             BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);

/* More than any kernel has; the first unknown one ends the walk. */
enum { HIGHEST = 63 };

bool keep_workload_capabilities(void) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2] = {0};
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int at = 0; at <= HIGHEST; at++) {
    int held = prctl(PR_CAPBSET_READ, at, 0, 0, 0);
    if (held < 0) break;
    if (held == 1 && (KEPT & BIT(at)) == 0 && prctl(PR_CAPBSET_DROP, at, 0, 0, 0) != 0) return false;
  }
  if (syscall(SYS_capget, &head, sets) != 0) return false;
  for (int half = 0; half < 2; half++) {
    uint32_t kept = (uint32_t)(KEPT >> (32 * half));
    sets[half].permitted &= kept;
    sets[half].effective &= kept;
    /* A command of root gets its own from the bounding set; none is handed down to another user's. */
    sets[half].inheritable = 0;
  }
  if (syscall(SYS_capset, &head, sets) != 0) return false;
  /* Fewer capabilities than before no longer keep a workload of the same user from tracing this process. */
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}
