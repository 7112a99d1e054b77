/*
 * Mounts over the workspace: a held path cannot be renamed or taken away, a protected one not written either. Both are
 * made before the workload runs and outlive what this process may do, since nobody may unmount afterwards.
 */
#include "relay.h"

#include <errno.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fcntl.h>

/* Of sys/mount.h, which does not go together with linux/mount.h. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
enum { BIND = 4096, RECURSIVE = 16384, NO_SETUID = 2, NO_DEVICES = 4 };

bool hold(const char *path, bool read_only) {
  struct stat state;
  const char *what = read_only ? "protect" : "hold";
  if (lstat(path, &state) != 0) {
    complain("cannot %s %s: %s", what, path, strerror(errno));
    return false;
  }
  /* Mounting over what a link points to would leave the link itself to be replaced. */
  if (S_ISLNK(state.st_mode)) {
    complain("cannot %s %s: it is a symbolic link", what, path);
    return false;
  }
  if (mount(path, path, NULL, BIND | RECURSIVE, NULL) != 0) {
    complain("cannot %s %s: %s", what, path, strerror(errno));
    return false;
  }
  if (!read_only) return true;
  /* This sets one attribute and keeps the others; what is mounted below becomes read-only too. */
  struct mount_attr change = {.attr_set = MOUNT_ATTR_RDONLY};
  if (syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &change, sizeof change) == 0) return true;
  complain("cannot make %s read-only: %s", path, strerror(errno));
  return false;
}

int mount_tmpfs(const char *path, const char *mode) {
  unsigned bits = 0;
  char options[16];
  for (const char *at = mode; *at != '\0'; at++) {
    if (*at < '0' || *at > '7' || at - mode > 3) return EINVAL;
    bits = bits * 8 + (unsigned)(*at - '0');
  }
  snprintf(options, sizeof options, "mode=%o", bits);
  if (mkdir(path, 0755) != 0 && errno != EEXIST) return errno;
  return mount("tmpfs", path, "tmpfs", NO_SETUID | NO_DEVICES, options) == 0 ? 0 : errno;
}
