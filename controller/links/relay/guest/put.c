/*
 * Writes stdin into a file of the guest: beside it first, then renamed over it, so that nobody sees half of it and a
 * symbolic link at its name is replaced and never followed.
 */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, TRIES = 16, MOST_GOT = 4 << 20 };

struct plan {
  char folder[PATH_BYTES];
  const char *name;
  mode_t mode;
  struct user owner;
};

bool parse_mode(const char *text, mode_t *mode) {
  *mode = 0;
  if (*text == '\0' || strlen(text) > 4) return false;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '7') return false;
    *mode = *mode * 8 + (mode_t)(*text - '0');
  }
  return true;
}

static bool parse_path(const char *path, struct plan *plan) {
  if (path[0] != '/' || strlen(path) >= sizeof plan->folder) return false;
  strcpy(plan->folder, path);
  char *last = strrchr(plan->folder, '/');
  plan->name = path + (last - plan->folder) + 1;
  *last = '\0';
  return plan->name[0] != '\0' && strlen(plan->name) < 200 && strcmp(plan->name, ".") != 0 &&
         strcmp(plan->name, "..") != 0;
}

bool make_parents(char *path) {
  for (char *at = path; (at = strchr(at + 1, '/')) != NULL; *at = '/') {
    *at = '\0';
    if (mkdir(path, 0755) != 0 && errno != EEXIST) return false;
  }
  return true;
}

static bool copy_stdin(int to) {
  static char bytes[CHUNK];
  for (;;) {
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    if (!write_all(to, bytes, (size_t)got)) return false;
  }
}

/* A name that nobody else has made: exclusive, so that nothing which is there already is written to. */
static int open_beside(int folder, const char *name, char *beside, size_t size) {
  for (int turn = 0; turn < TRIES; turn++) {
    format(beside, size, ".%s.%llx", name, (unsigned long long)now_ms() * 4096U + (unsigned)getpid() + (unsigned)turn);
    int fd = openat(folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

/* Null, or the step that failed, with errno. */
static const char *write_file(struct plan *plan) {
  char beside[256];
  if (!make_parents(plan->folder) || (plan->folder[0] != '\0' && mkdir(plan->folder, 0755) != 0 && errno != EEXIST))
    return "make the folder of";
  int folder = open(plan->folder[0] == '\0' ? "/" : plan->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return "open the folder of";
  int file = open_beside(folder, plan->name, beside, sizeof beside);
  if (file < 0) return "write";
  const char *failed = NULL;
  if (!copy_stdin(file)) failed = "write";
  else if (fchown(file, plan->owner.uid, plan->owner.gid) != 0) failed = "give away";
  else if (fchmod(file, plan->mode) != 0) failed = "set the mode of";
  else if (renameat(folder, beside, folder, plan->name) != 0) failed = "name";
  if (failed == NULL) return NULL;
  int problem = errno;
  unlinkat(folder, beside, 0);
  errno = problem;
  return failed;
}

int put(int argc, char **argv) {
  static struct plan plan;
  if (argc != 3 || !parse_path(argv[0], &plan) || !parse_mode(argv[1], &plan.mode)) {
    complain("usage: sand-relay put PATH MODE USER");
    return EXIT_USAGE;
  }
  if (!find_user(argv[2], &plan.owner)) return EXIT_NEGATIVE;
  /* What it writes through may be the workload's, so it may do no more than the workload's root. */
  if (!keep_workload_capabilities()) {
    complain("cannot give up capabilities: %s", strerror(errno));
    return EXIT_FAILED;
  }
  umask(022);
  const char *failed = write_file(&plan);
  if (failed == NULL) return EXIT_FINE;
  complain("cannot %s %s: %s", failed, argv[0], strerror(errno));
  return EXIT_NEGATIVE;
}

/* Prints a file: a list of authorities has some hundred kilobytes. */
int get(int argc, char **argv) {
  static char bytes[CHUNK];
  struct stat state;
  if (argc != 1 || argv[0][0] != '/') {
    complain("usage: sand-relay get PATH");
    return EXIT_USAGE;
  }
  if (!keep_workload_capabilities()) return EXIT_FAILED;
  /* An image can put a FIFO there, and opening one waits. */
  int file = open(argv[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0 || fstat(file, &state) != 0 || !S_ISREG(state.st_mode) || state.st_size > MOST_GOT) {
    complain("cannot read %s", argv[0]);
    return EXIT_NEGATIVE;
  }
  size_t left = MOST_GOT;
  for (ssize_t got; left > 0 && (got = read(file, bytes, sizeof bytes)) != 0; left -= (size_t)got)
    if (got < 0 || (size_t)got > left || !write_all(STDOUT_FILENO, bytes, (size_t)got)) return EXIT_NEGATIVE;
  return EXIT_FINE;
}
