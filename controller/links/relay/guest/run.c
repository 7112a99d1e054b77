/*
 * Runs one command in the guest: as its user, in its directory, with its environment and without what PID 1 needed.
 * It tells PID 1 of the beginning and the end, and ends as the command did.
 */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREFIX "SANDENV_"
enum { PREFIX_BYTES = sizeof PREFIX - 1 };
/* As Docker sets it where an image names none. */
static char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/* What the one who runs a command in a terminal sends to its group; the command decides what it means. */
static const int IGNORED[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};

struct plan {
  const char *id;
  const char *user;
  const char *directory;
  char **command;
};

static bool is_id(const char *text) {
  size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
  return length > 0 && length < RUN_ID_BYTES && text[length] == '\0';
}

static bool parse_plan(int argc, char **argv, struct plan *plan) {
  int at = 0;
  *plan = (struct plan){.user = ""};
  for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
    if (strcmp(argv[at], "--id") == 0) plan->id = argv[at + 1];
    else if (strcmp(argv[at], "--user") == 0) plan->user = argv[at + 1];
    else if (strcmp(argv[at], "--workdir") == 0) plan->directory = argv[at + 1];
    else return false;
  }
  if (at + 1 >= argc || strcmp(argv[at], "--") != 0) return false;
  plan->command = argv + at + 1;
  return plan->id != NULL && is_id(plan->id);
}

static char *environment[ENVIRONMENT + 1];
static size_t variables;

static size_t name_length(const char *variable) { return strcspn(variable, "="); }

/* The first of a name stays. */
static bool set_first(char *variable) {
  size_t length = name_length(variable);
  if (variable[length] != '=' || length == 0) return true;
  for (size_t at = 0; at < variables; at++)
    if (strncmp(environment[at], variable, length + 1) == 0) return true;
  if (variables == ENVIRONMENT) return false;
  environment[variables++] = variable;
  return true;
}

static bool build_environment(const struct user *user) {
  static char home[sizeof user->home + 8];
  static char name[sizeof user->name + 8];
  static char login[sizeof user->name + 8];
  bool fine = true;
  for (char **at = environ; *at != NULL && fine; at++)
    if (strncmp(*at, PREFIX, PREFIX_BYTES) == 0) fine = set_first(*at + PREFIX_BYTES);
  format(home, sizeof home, "HOME=%s", user->home);
  fine = fine && set_first(home);
  if (user->name[0] != '\0') {
    format(name, sizeof name, "USER=%s", user->name);
    format(login, sizeof login, "LOGNAME=%s", user->name);
    fine = fine && set_first(name) && set_first(login);
  }
  for (char **at = environ; *at != NULL && fine; at++)
    if (strncmp(*at, PREFIX, PREFIX_BYTES) != 0) fine = set_first(*at);
  fine = fine && set_first(default_path);
  environ = environment;
  return fine;
}

/* In the child: everything that makes the process the command's, and the command. */
static void become(const struct plan *plan, const struct user *user, int go, bool own_group) {
  sigset_t none;
  char leave;
  sigemptyset(&none);
  if (own_group) setpgid(0, 0);
  /* Fail closed: a command that PID 1 does not know of does not run. */
  if (read(go, &leave, 1) != 1) _exit(EXIT_FAILED);
  close(go);
  for (size_t at = 0; at < sizeof IGNORED / sizeof *IGNORED; at++) signal(IGNORED[at], SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (setgroups(user->groups, user->group) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0) {
    complain("cannot become user %u:%u: %s", user->uid, user->gid, strerror(errno));
    _exit(EXIT_NOT_RUN);
  }
  if (plan->directory != NULL && chdir(plan->directory) != 0) {
    complain("cannot enter %s: %s", plan->directory, strerror(errno));
    _exit(EXIT_NOT_RUN);
  }
  execvp(plan->command[0], plan->command);
  int problem = errno;
  bool missing = problem == ENOENT || problem == ENOTDIR;
  complain("%s: %s", plan->command[0], missing ? "command not found" : strerror(problem));
  _exit(missing ? EXIT_NOT_FOUND : EXIT_NOT_RUN);
}

static bool tell(const char *expected, const char *request) {
  char reply[REQUEST_BYTES];
  return control_ask(request, reply, sizeof reply, CONTROL_MS) > 0 && strcmp(reply, expected) == 0;
}

/* The status of the command; what else ends here is what it left behind. */
static int wait_for(pid_t command) {
  int state = 0;
  for (;;) {
    pid_t ended = waitpid(-1, &state, 0);
    if (ended < 0 && errno != EINTR) return EXIT_FAILED;
    if (ended != command) continue;
    if (WIFEXITED(state)) return WEXITSTATUS(state);
    if (WIFSIGNALED(state)) return 128 + WTERMSIG(state);
  }
}

int run(int argc, char **argv) {
  struct plan plan;
  struct user user;
  char request[REQUEST_BYTES];
  int go[2];
  if (!parse_plan(argc, argv, &plan)) {
    complain("usage: sand-relay run --id ID [--user USER] [--workdir DIR] -- COMMAND [ARGUMENT]...");
    return EXIT_USAGE;
  }
  if (!find_user(plan.user, &user)) return EXIT_NOT_RUN;
  /* Fail closed: this process gives up what the command must not have, since the command may be its equal. */
  if (!keep_workload_capabilities()) {
    complain("cannot give up capabilities: %s", strerror(errno));
    return EXIT_FAILED;
  }
  /* What the command leaves stays below this process, so that a KILL of it finds all; without, it finds the group. */
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  if (!build_environment(&user)) {
    complain("more than %d variables", ENVIRONMENT);
    return EXIT_FAILED;
  }
  bool own_group = !isatty(STDIN_FILENO);
  for (size_t at = 0; at < sizeof IGNORED / sizeof *IGNORED; at++) signal(IGNORED[at], SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  if (pipe2(go, O_CLOEXEC) != 0) return EXIT_FAILED;
  pid_t command = fork();
  if (command < 0) {
    complain("cannot start a process: %s", strerror(errno));
    return EXIT_FAILED;
  }
  if (command == 0) {
    close(go[1]);
    become(&plan, &user, go[0], own_group);
  }
  close(go[0]);
  if (own_group) setpgid(command, command);
  format(request, sizeof request, "begin %s %d %s", plan.id, command, own_group ? "own" : "shared");
  if (!tell("begun", request)) {
    complain("the relay of this guest does not answer");
    close(go[1]);
    wait_for(command);
    return EXIT_FAILED;
  }
  bool left = write(go[1], "g", 1) == 1;
  close(go[1]);
  int status = wait_for(command);
  format(request, sizeof request, "end %s %d", plan.id, status);
  tell("ended", request);
  return left ? status : EXIT_FAILED;
}
