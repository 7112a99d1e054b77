/*
 * Mounts over the workspace: a held path cannot be renamed or taken away, a protected one not written either. Both are
 * made before the workload runs and outlive what this process may do, since nobody may unmount afterwards.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of sys/mount.h, which does not go together with linux/mount.h. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
enum { PATH_BYTES = 4096 };
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

bool place_file(const char *source, const char *target) {
  char path[PATH_BYTES];
  struct stat state;
  if (strlen(target) >= sizeof path) return false;
  strcpy(path, target);
  if (lstat(target, &state) != 0) {
    int made = -1;
    if (errno == ENOENT && make_parents(path)) made = open(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (made < 0) {
      complain("cannot place %s: %s", target, strerror(errno));
      return false;
    }
    close(made);
  } else if (!S_ISREG(state.st_mode)) {
    complain("cannot place %s: there is something else", target);
    return false;
  }
  /* What the mount of its folder says of writing holds here too. */
  if (mount(source, target, NULL, BIND, NULL) == 0) return true;
  complain("cannot place %s: %s", target, strerror(errno));
  return false;
}

int tmpfs(int argc, char **argv) {
  char path[PATH_BYTES];
  char options[64];
  mode_t mode;
  struct user user;
  if (argc != 3 || argv[0][0] != '/' || strlen(argv[0]) >= sizeof path || !parse_mode(argv[1], &mode)) {
    complain("usage: sand-relay tmpfs PATH MODE USER");
    return EXIT_USAGE;
  }
  if (!find_user(argv[2], &user)) return EXIT_NEGATIVE;
  strcpy(path, argv[0]);
  format(options, sizeof options, "mode=%o,uid=%u,gid=%u", mode, user.uid, user.gid);
  if (make_parents(path) && (mkdir(argv[0], 0755) == 0 || errno == EEXIST) &&
      mount("tmpfs", argv[0], "tmpfs", NO_SETUID | NO_DEVICES, options) == 0)
    return EXIT_FINE;
  complain("cannot mount on %s: %s", argv[0], strerror(errno));
  return EXIT_NEGATIVE;
}
