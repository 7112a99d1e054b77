/*
 * Carries out a list of steps that its arguments hold, one system call or few each: makes or joins a guest's
 * namespaces, puts its root file system together, and runs one program there. What the steps are is decided by plan.ts.
 *
 * The process that forks stays outside as the program's waiter: it passes the program's bytes on and reports on
 * descriptor 3, one line each: `failed TEXT`, `missing FILE`, `started PID`, `signalled NUMBER` where
 * one has ended it, `exited STATUS`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>
#include <grp.h>

enum { REPORT = 3, RESIZE = 4, MAX_ENV = 4096, MAX_GROUPS = 256, CHUNK = 65536 };

static int failures = REPORT; /* after the fork, the pipe to the waiter */
static int is_tied, has_pty, has_stdin, master = -1, slave = -1;
static char *environment[MAX_ENV + 1];
static int environment_size;

static void die(const char *step, const char *what) {
  dprintf(failures, "failed %s %s: %s\n", step, what, strerror(errno));
  _exit(125);
}

static void put(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t done = write(fd, bytes, size);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return;
    bytes += done;
    size -= (size_t)done;
  }
}

/* As `mkdir -p`, inside the root that is in force. */
static int make_folder(const char *path) {
  char part[PATH_MAX];
  if (strlen(path) >= sizeof part) return errno = ENAMETOOLONG, -1;
  strcpy(part, path);
  for (char *at = part + 1; *at; at++) {
    if (*at != '/') continue;
    *at = 0;
    if (mkdir(part, 0755) && errno != EEXIST) return -1;
    *at = '/';
  }
  return mkdir(part, 0755) && errno != EEXIST ? -1 : 0;
}

static int make_parent(const char *path) {
  char part[PATH_MAX];
  if (strlen(path) >= sizeof part) return errno = ENAMETOOLONG, -1;
  strcpy(part, path);
  char *slash = strrchr(part, '/');
  if (slash == NULL || slash == part) return 0;
  *slash = 0;
  return make_folder(part);
}

static unsigned long flags_of(const char *words) {
  unsigned long flags = 0;
  if (strstr(words, "ro")) flags |= MS_RDONLY;
  if (strstr(words, "nosuid")) flags |= MS_NOSUID;
  if (strstr(words, "nodev")) flags |= MS_NODEV;
  if (strstr(words, "noexec")) flags |= MS_NOEXEC;
  return flags;
}

static void bring_lo_up(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {0};
  strcpy(request.ifr_name, "lo");
  if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request)) die("lo", "read");
  request.ifr_flags |= IFF_UP;
  if (ioctl(fd, SIOCSIFFLAGS, &request)) die("lo", "up");
  close(fd);
}

static void join(const char *pid) {
  static const struct { const char *name; int kind; } spaces[] = {
    {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET}, {"pid", CLONE_NEWPID}, {"mnt", CLONE_NEWNS}};
  int fds[5];
  for (int at = 0; at < 5; at++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/%s", pid, spaces[at].name);
    fds[at] = open(path, O_RDONLY | O_CLOEXEC);
    if (fds[at] < 0) die("join", path);
  }
  for (int at = 0; at < 5; at++) {
    if (setns(fds[at], spaces[at].kind)) die("join", spaces[at].name);
    close(fds[at]);
  }
}

static void pivot(const char *root) {
  if (chdir(root)) die("pivot", root);
  if (mkdir(".old", 0700) && errno != EEXIST) die("pivot", "folder");
  if (syscall(SYS_pivot_root, ".", ".old")) die("pivot", root);
  if (chdir("/")) die("pivot", "chdir");
}

/* Sockets of a family, or of one protocol of it, that the emulated kernel does not have. */
static void refuse_sockets(unsigned family, int protocol, unsigned error) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 6),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family, 0, 4),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
    /* Of any protocol nothing is left to be compared. */
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, protocol < 0 ? 0 : 0xffffffff),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, protocol < 0 ? 0 : (unsigned)protocol, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) die("seccomp", "filter");
}

static void take_credentials(const char *mask_text, const char *uid, const char *gid, const char *groups) {
  unsigned long long mask = strtoull(mask_text, NULL, 16);
  for (int capability = 0; capability < 64; capability++) {
    if (mask >> capability & 1) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) && errno != EINVAL) die("credentials", "bounding");
  }
  gid_t list[MAX_GROUPS];
  int count = 0;
  for (const char *at = groups; *at && count < MAX_GROUPS;) {
    char *end;
    list[count++] = (gid_t)strtoul(at, &end, 10);
    at = *end == ',' ? end + 1 : end;
  }
  if (setgroups((size_t)count, list)) die("credentials", "groups");
  if (setgid((gid_t)strtoul(gid, NULL, 10))) die("credentials", gid);
  if (setuid((uid_t)strtoul(uid, NULL, 10))) die("credentials", uid);
  if (getuid() == 0) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    data[0].effective = data[0].permitted = (unsigned)mask;
    data[1].effective = data[1].permitted = (unsigned)(mask >> 32);
    if (syscall(SYS_capset, &header, data)) die("credentials", "capabilities");
  }
}

/* The program, by a descriptor: its end is reported at once, while output may still be open. */
static struct { pid_t pid; int fd; } program = {.fd = -1};

static void report_end(void) {
  int status = 0;
  if (program.pid == 0) return;
  while (waitpid(program.pid, &status, 0) < 0 && errno == EINTR) continue;
  program.pid = 0;
  program.fd = -1;
  if (WIFSIGNALED(status)) dprintf(REPORT, "signalled %d\n", WTERMSIG(status));
  dprintf(REPORT, "exited %d\n", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* Input on its way in: it is written only as far as the program takes it, so that output never waits for it. */
static struct { char bytes[PIPE_BUF]; size_t from, to; int from_fd, to_fd; } input = {.from_fd = -1, .to_fd = -1};

static void end_input(int closes) {
  if (closes && input.to_fd >= 0) close(input.to_fd);
  input.from_fd = input.to_fd = -1;
}

static struct pollfd input_wanted(void) {
  if (input.to > input.from) return (struct pollfd){input.to_fd, POLLOUT, 0};
  return (struct pollfd){input.from_fd, POLLIN, 0};
}

static void move_input(short events, int closes) {
  ssize_t done;
  if (events == 0) return;
  if (input.to > input.from) {
    done = write(input.to_fd, input.bytes + input.from, input.to - input.from);
    if (done > 0) input.from += (size_t)done;
    else if (errno != EAGAIN && errno != EINTR) end_input(closes);
    return;
  }
  done = read(input.from_fd, input.bytes, sizeof input.bytes);
  input.from = 0;
  input.to = done > 0 ? (size_t)done : 0;
  if (done <= 0) end_input(closes);
}

static void set_window(void) {
  char text[64];
  struct winsize size = {0};
  ssize_t got = fcntl(RESIZE, F_GETFD) < 0 ? 0 : read(RESIZE, text, sizeof text - 1);
  if (got <= 0) {
    close(RESIZE);
    return;
  }
  text[got] = 0;
  if (sscanf(text, "%hu %hu", &size.ws_row, &size.ws_col) == 2) ioctl(master, TIOCSWINSZ, &size);
}

/* Moves bytes until everything that the program and its children held open has ended. */
static void pump_pty(void) {
  char bytes[CHUNK];
  fcntl(master, F_SETFL, O_NONBLOCK);
  if (has_stdin) input.from_fd = 0, input.to_fd = master;
  for (;;) {
    int resize = fcntl(RESIZE, F_GETFD) < 0 ? -1 : RESIZE;
    struct pollfd ends[4] = {{master, POLLIN, 0}, input_wanted(), {resize, POLLIN, 0}, {program.fd, POLLIN, 0}};
    if (poll(ends, 4, -1) < 0) continue;
    if (ends[3].revents) report_end();
    if (ends[0].revents) {
      ssize_t got = read(master, bytes, sizeof bytes);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return;
      if (got > 0) put(1, bytes, (size_t)got);
    }
    move_input(ends[1].revents, 0);
    if (ends[2].revents) set_window();
  }
}

static void pump_pipes(int in, int out, int err) {
  char bytes[CHUNK];
  int outputs[2] = {out, err};
  input.to_fd = in;
  if (has_stdin) input.from_fd = 0;
  else end_input(1);
  fcntl(in, F_SETFL, O_NONBLOCK);
  while (outputs[0] >= 0 || outputs[1] >= 0) {
    struct pollfd ends[5] = {{outputs[0], POLLIN, 0}, {outputs[1], POLLIN, 0}, input_wanted(), {input.to_fd, 0, 0},
                             {program.fd, POLLIN, 0}};
    if (poll(ends, 5, -1) < 0) continue;
    if (ends[4].revents) report_end();
    for (int at = 0; at < 2; at++) {
      if (!ends[at].revents) continue;
      ssize_t got = read(outputs[at], bytes, sizeof bytes);
      if (got <= 0) outputs[at] = -1;
      else put(at + 1, bytes, (size_t)got);
    }
    if (ends[3].revents & POLLERR) end_input(1);
    else move_input(ends[2].revents, 1);
  }
}

static void wait_outside(pid_t child, int failed, int pipes[3][2]) {
  char line[4096];
  ssize_t size = 0, got;
  signal(SIGPIPE, SIG_IGN);
  if (has_pty) close(slave);
  else close(pipes[0][0]), close(pipes[1][1]), close(pipes[2][1]);
  while ((got = read(failed, line + size, sizeof line - (size_t)size)) > 0) size += got;
  if (size > 0) {
    put(REPORT, line, (size_t)size);
    waitpid(child, NULL, 0);
    _exit(125);
  }
  dprintf(REPORT, "started %d\n", child);
  program.pid = child;
  program.fd = (int)syscall(SYS_pidfd_open, child, 0);
  if (program.fd < 0) die("wait", "descriptor");
  if (has_pty) pump_pty();
  else pump_pipes(pipes[0][1], pipes[1][0], pipes[2][0]);
  /* Whoever reads it sees the end of output only once it has all been passed on. */
  close(1);
  close(2);
  report_end();
  _exit(0);
}

/* The child goes on with the steps; the caller's process becomes its waiter and never returns. */
static void fork_program(void) {
  int failed[2], pipes[3][2];
  if (has_pty) {
    int unlocked = 0;
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked)) die("pty", "master");
    slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) die("pty", "slave");
  } else {
    for (int at = 0; at < 3; at++) if (pipe2(pipes[at], O_CLOEXEC)) die("fork", "pipe");
  }
  if (pipe2(failed, O_CLOEXEC)) die("fork", "pipe");
  pid_t child = fork();
  if (child < 0) die("fork", "process");
  if (child > 0) {
    close(failed[1]);
    wait_outside(child, failed[0], pipes);
  }
  failures = failed[1];
  close(failed[0]);
  close(REPORT);
  close(RESIZE);
  if (setsid() < 0) die("fork", "session");
  if (has_pty) {
    if (ioctl(slave, TIOCSCTTY, 0)) die("pty", "controlling terminal");
    for (int at = 0; at < 3; at++) if (dup2(slave, at) < 0) die("pty", "dup");
  } else {
    if (dup2(pipes[0][0], 0) < 0 || dup2(pipes[1][1], 1) < 0 || dup2(pipes[2][1], 2) < 0) die("fork", "dup");
  }
}

static void run(char **words) {
  if (environment_size == 0) environment[0] = NULL;
  /* Taking credentials clears it, so that it is the last step. */
  if (is_tied) prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  fcntl(failures, F_SETFD, FD_CLOEXEC);
  environ = environment;
  execvpe(words[0], words, environment);
  if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) dprintf(failures, "missing %s\n", words[0]);
  else die("exec", words[0]);
  _exit(125);
}

static void write_file(const char *path, const char *text) {
  make_parent(path);
  unlink(path);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) die("file", path);
  put(fd, text, strlen(text));
  close(fd);
}

/* Over a folder an empty one, over a file nothing to read; what is not there needs no mask. */
static void mask(const char *path) {
  struct stat found;
  if (stat(path, &found)) return;
  if (S_ISDIR(found.st_mode)) {
    if (mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k")) die("mask", path);
  } else if (mount("/dev/null", path, NULL, MS_BIND, NULL)) die("mask", path);
}

static void seal(const char *path) {
  struct stat found;
  if (stat(path, &found)) return;
  if (mount(path, path, NULL, MS_BIND | MS_REC, NULL)) die("seal", path);
  if (mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) die("seal", path);
}

static void bind_mount(const char *source, const char *target) {
  struct stat found;
  if (stat(source, &found)) die("bind", source);
  if (S_ISDIR(found.st_mode)) {
    if (make_folder(target)) die("bind", target);
  } else {
    make_parent(target);
    int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0) close(fd);
  }
  if (mount(source, target, NULL, MS_BIND, NULL)) die("bind", target);
}

/* A map of everything to itself, but for two numbers that stand for each other. */
static void write_swap(pid_t pid, const char *name, unsigned host, unsigned guest) {
  char path[64], text[256];
  unsigned a = host < guest ? host : guest, b = host < guest ? guest : host;
  int size = snprintf(text, sizeof text, a == b ? "%u %u 1\n" : "%u %u 1\n%u %u 1\n", a, b, b, a);
  if (a > 0) size += snprintf(text + size, sizeof text - (size_t)size, "0 0 %u\n", a);
  if (b > a + 1) size += snprintf(text + size, sizeof text - (size_t)size, "%u %u %u\n", a + 1, a + 1, b - a - 1);
  size += snprintf(text + size, sizeof text - (size_t)size, "%u %u %u\n", b + 1, b + 1, 0xfffffffeu - b);
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int map = open(path, O_WRONLY | O_CLOEXEC);
  if (map < 0 || write(map, text, (size_t)size) < 0) die("share", path);
  close(map);
}

/* As the shares of a virtual machine: whoever runs the tool on the host is one user of the guest, and the other way round. */
static int swapped_users(const char *uid, const char *guest_uid, const char *gid, const char *guest_gid) {
  char path[64];
  int ready[2];
  if (pipe2(ready, O_CLOEXEC)) die("share", "pipe");
  pid_t child = fork();
  if (child < 0) die("share", "fork");
  if (child == 0) {
    if (unshare(CLONE_NEWUSER)) _exit(1);
    put(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  close(ready[1]);
  if (read(ready[0], path, 1) != 1) die("share", "user namespace");
  close(ready[0]);
  write_swap(child, "uid_map", (unsigned)atoi(uid), (unsigned)atoi(guest_uid));
  write_swap(child, "gid_map", (unsigned)atoi(gid), (unsigned)atoi(guest_gid));
  snprintf(path, sizeof path, "/proc/%d/ns/user", child);
  int users = open(path, O_RDONLY | O_CLOEXEC);
  if (users < 0) die("share", path);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return users;
}

static void share(const char *source, const char *target, char **ids) {
  if (make_folder(target)) die("share", target);
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) die("share", source);
  int users = swapped_users(ids[0], ids[1], ids[2], ids[3]);
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)users};
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes)) die("share users of", source);
  close(users);
  if (syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH)) die("share", target);
  close(tree);
}

static void device(const char *path, const char *mode, const char *major_text, const char *minor_text) {
  unlink(path);
  mode_t old = umask(0);
  if (mknod(path, S_IFCHR | (mode_t)strtoul(mode, NULL, 8), makedev(atoi(major_text), atoi(minor_text)))) die("device", path);
  umask(old);
}

/* Reads one step at `words` and does it; returns how many words it took. */
static int step(char **words, int left) {
  const char *name = words[0];
#define IS(text, count) (strcmp(name, text) == 0 && left > (count))
  if (IS("tied", 0)) {
    is_tied = 1;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) die("tied", "");
    return 1;
  }
  if (IS("stdin", 0)) return has_stdin = 1, 1;
  if (IS("pty", 0)) return has_pty = 1, 1;
  if (IS("unshare", 0)) {
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID)) die("unshare", "");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("unshare", "private");
    return 1;
  }
  /* All but the network: the machine has no other guest. */
  if (IS("unshare-guest", 0)) {
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID)) die(name, "");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die(name, "private");
    return 1;
  }
  if (IS("unshare-files", 0)) {
    if (unshare(CLONE_NEWNS | CLONE_NEWPID)) die(name, "");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die(name, "private");
    return 1;
  }
  if (IS("join", 1)) return join(words[1]), 2;
  if (IS("fork", 0)) return fork_program(), 1;
  if (IS("lo", 0)) return bring_lo_up(), 1;
  if (IS("hostname", 1)) return sethostname(words[1], strlen(words[1])) ? die(name, words[1]), 2 : 2;
  if (IS("mount", 5)) {
    if (make_folder(words[3])) die(name, words[3]);
    if (mount(words[2], words[3], words[1], flags_of(words[4]), words[5])) die(name, words[3]);
    return 6;
  }
  if (IS("bind", 2)) return bind_mount(words[1], words[2]), 3;
  if (IS("share", 6)) return share(words[1], words[2], words + 3), 7;
  if (IS("remount", 2)) {
    if (mount(NULL, words[1], NULL, MS_BIND | MS_REMOUNT | flags_of(words[2]), NULL)) die(name, words[1]);
    return 3;
  }
  if (IS("pivot", 1)) return pivot(words[1]), 2;
  if (IS("unpivot", 0)) {
    if (umount2("/.old", MNT_DETACH) || rmdir("/.old")) die(name, "");
    return 1;
  }
  if (IS("folder", 1)) return make_folder(words[1]) ? die(name, words[1]), 2 : 2;
  if (IS("mode", 2)) return chmod(words[1], (mode_t)strtoul(words[2], NULL, 8)) ? die(name, words[1]), 3 : 3;
  if (IS("file", 2)) return write_file(words[1], words[2]), 3;
  if (IS("device", 4)) return device(words[1], words[2], words[3], words[4]), 5;
  if (IS("link", 2)) {
    unlink(words[2]);
    if (symlink(words[1], words[2])) die(name, words[2]);
    return 3;
  }
  if (IS("unlink", 1)) return unlink(words[1]), 2;
  if (IS("whiteout", 1)) {
    if (make_parent(words[1]) || mknod(words[1], S_IFCHR, makedev(0, 0))) die(name, words[1]);
    return 2;
  }
  if (IS("opaque", 1)) {
    if (make_folder(words[1]) || setxattr(words[1], "trusted.overlay.opaque", "y", 1, 0)) die(name, words[1]);
    return 2;
  }
  if (IS("mask", 1)) return mask(words[1]), 2;
  if (IS("seal", 1)) return seal(words[1]), 2;
  if (IS("no-netfilter", 0)) return refuse_sockets(AF_NETLINK, 12 /* NETLINK_NETFILTER */, EPROTONOSUPPORT), 1;
  if (IS("no-vsock", 0)) return refuse_sockets(AF_VSOCK, -1, EAFNOSUPPORT), 1;
  if (IS("limit", 3)) {
    struct rlimit limit = {strtoull(words[2], NULL, 10), strtoull(words[3], NULL, 10)};
    if (setrlimit((__rlimit_resource_t)atoi(words[1]), &limit)) die(name, words[1]);
    return 4;
  }
  if (IS("chdir", 1)) {
    if (chdir(words[1]) && (make_folder(words[1]) || chdir(words[1]))) die(name, words[1]);
    return 2;
  }
  if (IS("credentials", 4)) return take_credentials(words[1], words[2], words[3], words[4]), 5;
  if (IS("env", 1)) {
    if (environment_size >= MAX_ENV) die(name, "too many");
    environment[environment_size++] = words[1];
    environment[environment_size] = NULL;
    return 2;
  }
  if (IS("exec", 1)) return run(words + 1), left;
  errno = EINVAL;
  die("step", name);
  return left;
}

int main(int count, char **words) {
  umask(022);
  /* Both numbers are taken, whatever was handed over: no other descriptor is mistaken for them. */
  for (int fd = REPORT; fd <= RESIZE; fd++) {
    if (fcntl(fd, F_GETFD) < 0) dup2(open("/dev/null", O_RDWR), fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  for (int at = 1; at < count;) at += step(words + at, count - at);
  errno = EINVAL;
  die("steps", "nothing to run");
}
