/*
 * Tries what a guest must not be able to do, from inside it, and says what came of each: lines of attempts in, as many
 * lines of answers out, then `end`. Each attempt is a process of its own, so that one that hangs or dies takes no
 * other with it.
 */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INPUT_BYTES = PROBES * 256 };

static char input[INPUT_BYTES + 1];

static struct {
  pid_t process;
  const char *line;
} running[PROBES];

static bool say(const char *line, const char *ending) {
  char text[PROBE_LINE * 4];
  /* A list of nothing. */
  if (*line == '\0') return true;
  size_t length = format(text, sizeof text, "%s%s\n", line, ending);
  /* One write, shorter than what a pipe takes whole: lines of several processes do not mix. */
  return text[length - 1] == '\n' && write_all(STDOUT_FILENO, text, length);
}

static void try_line(char *line) {
  static char answer[PROBE_LINE * 4 - 2];
  alarm(PROBE_MS / 1000);
  if (!attempt(line, answer, sizeof answer)) format(answer, sizeof answer, "problem no such attempt");
  /* A list of nothing has no line. */
  _exit(answer[0] == '\0' || say(answer, "") ? EXIT_FINE : EXIT_NEGATIVE);
}

static bool read_input(int fd) {
  size_t length = 0;
  while (length < INPUT_BYTES) {
    ssize_t got = read(fd, input + length, INPUT_BYTES - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    length += (size_t)got;
  }
  input[length] = '\0';
  return length < INPUT_BYTES && memchr(input, '\0', length) == NULL;
}

static void hear_ends(unsigned count) {
  int state;
  for (unsigned left = count; left > 0;) {
    pid_t ended = waitpid(-1, &state, 0);
    if (ended < 0 && errno != EINTR) return;
    for (unsigned at = 0; at < count; at++) {
      if (running[at].process != ended) continue;
      left--;
      if (WIFSIGNALED(state)) say(running[at].line, WTERMSIG(state) == SIGALRM ? " timeout" : " died");
    }
  }
}

int probe(int argc, char **argv) {
  unsigned count = 0;
  int fd = argc == 1 ? open(argv[0], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
  if (argc > 1 || fd < 0 || !read_input(fd)) {
    complain("usage: sand-relay probe [FILE], with at most %d short lines in it or on stdin", PROBES);
    return EXIT_USAGE;
  }
  signal(SIGPIPE, SIG_IGN);
  for (char *at = input; at != NULL && *at != '\0';) {
    char *line = at;
    char *end = strchr(at, '\n');
    at = end == NULL ? NULL : end + 1;
    if (end != NULL) *end = '\0';
    if (*line == '\0') continue;
    if (count == PROBES) {
      complain("more than %d attempts", PROBES);
      return EXIT_USAGE;
    }
    running[count].line = line;
    running[count].process = fork();
    if (running[count].process == 0) try_line(line);
    if (running[count].process < 0) say(line, " died");
    else count++;
  }
  hear_ends(count);
  return say("end", "") ? EXIT_FINE : EXIT_NEGATIVE;
}
