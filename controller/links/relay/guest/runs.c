/*
 * The commands of this guest: which process each is, how it ended, and signals to it. The tool outside tells an exit
 * status apart from its own failures only by this.
 */
#include "relay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct command {
  char id[RUN_ID_BYTES];
  pid_t runner;
  pid_t process;
  bool own_group;
  bool used;
  bool ended;
  unsigned status;
  uint64_t order;
};

static struct command commands[RUNS];
static uint64_t begun;

static struct command *find(const char *id) {
  for (unsigned at = 0; at < RUNS; at++)
    if (commands[at].used && strcmp(commands[at].id, id) == 0) return &commands[at];
  return NULL;
}

static bool is_gone(pid_t process) { return kill(process, 0) != 0 && errno == ESRCH; }

/* A runner that was killed says nothing of the end of its command any more. */
static bool is_over(const struct command *it) { return it->ended || is_gone(it->runner); }

static struct command *free_place(void) {
  struct command *oldest = NULL;
  for (unsigned at = 0; at < RUNS; at++) {
    struct command *it = &commands[at];
    if (!it->used) return it;
    if (is_over(it) && (oldest == NULL || it->order < oldest->order)) oldest = it;
  }
  return oldest;
}

bool runs_begin(const char *id, pid_t runner, pid_t command, bool own_group) {
  struct command *it = find(id);
  if (it != NULL && !is_over(it)) return false;
  if (it == NULL) it = free_place();
  if (it == NULL || strlen(id) >= sizeof it->id || id[0] == '\0' || runner <= 1 || command <= 1) return false;
  *it = (struct command){
      .runner = runner, .process = command, .own_group = own_group, .used = true, .order = ++begun};
  strcpy(it->id, id);
  return true;
}

bool runs_end(const char *id, pid_t runner, unsigned status) {
  struct command *it = find(id);
  /* Nobody tells the end of another's command. */
  if (it == NULL || it->runner != runner || it->ended || status > 255) return false;
  it->ended = true;
  it->status = status;
  return true;
}

void runs_status(const char *id, char *text, size_t size) {
  const struct command *it = find(id);
  if (it != NULL && it->ended) format(text, size, "exited %u", it->status);
  else format(text, size, "%s", it == NULL || is_over(it) ? "unknown" : "running");
}

static int signal_number(const char *name) {
  static const struct {
    const char *name;
    int number;
  } SIGNALS[] = {
      {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"TERM", SIGTERM}, {"KILL", SIGKILL},
      {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"TSTP", SIGTSTP}, {"CONT", SIGCONT}, {"WINCH", SIGWINCH},
  };
  for (size_t at = 0; at < sizeof SIGNALS / sizeof *SIGNALS; at++)
    if (strcmp(SIGNALS[at].name, name) == 0) return SIGNALS[at].number;
  return 0;
}

enum { PROCESSES = 8192, ROUNDS = 4 };
static struct {
  pid_t process;
  pid_t parent;
  bool below;
} processes[PROCESSES];

/* 0 where the process has ended meanwhile. */
static pid_t parent_of(const char *process) {
  char path[32];
  char text[512];
  unsigned long parent;
  format(path, sizeof path, "/proc/%s/stat", process);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return 0;
  text[length] = '\0';
  /* The name before it may hold anything, parentheses too. */
  char *at = strrchr(text, ')');
  if (at == NULL || strlen(at) < 5) return 0;
  at += 4;
  at[strcspn(at, " ")] = '\0';
  return parse_number(at, INT32_MAX, &parent) ? (pid_t)parent : 0;
}

static unsigned list_processes(void) {
  static char entries[32768] __attribute__((aligned(8)));
  unsigned count = 0;
  int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return 0;
  for (;;) {
    long length = syscall(SYS_getdents64, fd, entries, sizeof entries);
    if (length <= 0) break;
    for (long at = 0; at < length;) {
      const struct dirent *entry = (const void *)(entries + at);
      unsigned long process;
      at += entry->d_reclen;
      if (count == PROCESSES || !parse_number(entry->d_name, INT32_MAX, &process)) continue;
      processes[count].process = (pid_t)process;
      processes[count].parent = parent_of(entry->d_name);
      processes[count++].below = false;
    }
  }
  close(fd);
  return count;
}

/* A runner takes in what its command has left, so all of it stands below the runner for as long as it runs. */
static void kill_below(pid_t runner) {
  for (int round = 0; round < ROUNDS; round++) {
    unsigned count = list_processes();
    bool more = true;
    while (more) {
      more = false;
      for (unsigned at = 0; at < count; at++) {
        if (processes[at].below || processes[at].process == runner) continue;
        bool below = processes[at].parent == runner;
        for (unsigned up = 0; up < count && !below; up++)
          below = processes[up].below && processes[up].process == processes[at].parent;
        if (!below) continue;
        processes[at].below = more = true;
        kill(processes[at].process, SIGKILL);
      }
    }
  }
}

void runs_signal(const char *id, const char *name, char *text, size_t size) {
  int number = signal_number(name);
  const struct command *it = find(id);
  if (number == 0) {
    format(text, size, "problem no such signal");
    return;
  }
  if (it == NULL || is_over(it)) return runs_status(id, text, size);
  kill(it->own_group ? -it->process : it->process, number);
  if (number == SIGKILL) kill_below(it->runner);
  format(text, size, "sent");
}
