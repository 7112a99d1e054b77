/*
 * The guest's relay: one static program that sand mounts into a Linux guest which has no network card. What it can do
 * is in the table below; docs/relay.md tells why. It reads no file of configuration.
 */
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int say(const char *text) {
  return write_all(STDOUT_FILENO, text, strlen(text)) && write_all(STDOUT_FILENO, "\n", 1) ? EXIT_FINE : EXIT_NEGATIVE;
}

/* Asks PID 1 and prints what it says; an answer that begins with `problem ` is a failure. */
static int ask(const char *request) {
  static char reply[REPLY_BYTES];
  ssize_t length = control_ask(request, reply, sizeof reply, CONTROL_MS);
  if (length < 0) {
    complain("the relay of this guest does not answer");
    return EXIT_FAILED;
  }
  if (strncmp(reply, "problem ", 8) == 0) {
    complain("%s", reply + 8);
    return EXIT_NEGATIVE;
  }
  if (length == 0) return EXIT_FINE;
  return reply[length - 1] == '\n' ? (write_all(STDOUT_FILENO, reply, (size_t)length) ? EXIT_FINE : EXIT_NEGATIVE)
                                   : say(reply);
}

/* A request that is the words of the command line. */
static int ask_words(const char *verb, int argc, char **argv, int wanted) {
  char request[REQUEST_BYTES];
  size_t length = format(request, sizeof request, "%s", verb);
  if (argc != wanted) {
    complain("%s takes %d arguments", verb, wanted);
    return EXIT_USAGE;
  }
  for (int at = 0; at < argc; at++) {
    if (strchr(argv[at], ' ') != NULL || strlen(argv[at]) + 2 > sizeof request - length) return EXIT_USAGE;
    length += format(request + length, sizeof request - length, " %s", argv[at]);
  }
  return ask(request);
}

static int mode(int argc, char **argv) { return ask_words("mode", argc, argv, 0); }
static int tried(int argc, char **argv) { return ask_words("tried", argc, argv, 0); }
static int status(int argc, char **argv) { return ask_words("status", argc, argv, 1); }
static int send_signal(int argc, char **argv) { return ask_words("signal", argc, argv, 2); }

static int ready(int argc, char **argv) {
  (void)argv;
  char reply[REQUEST_BYTES];
  int64_t deadline = now_ms() + READY_MS;
  if (argc != 0) return EXIT_USAGE;
  do {
    if (control_ask("mode", reply, sizeof reply, CONTROL_MS) > 0) {
      char line[REQUEST_BYTES + 8];
      format(line, sizeof line, "ready %s", reply);
      return say(line);
    }
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  } while (now_ms() < deadline);
  say("the relay of this guest does not answer");
  return EXIT_NEGATIVE;
}

/* PID 1 may not change the ruleset any more, so in redirect mode this process adds the port to it. */
static int plant(int argc, char **argv) {
  char reply[REQUEST_BYTES];
  if (argc < 1 || argc > PORTS) return EXIT_USAGE;
  if (control_ask("mode", reply, sizeof reply, CONTROL_MS) < 0) return ask("mode");
  bool redirect = strcmp(reply, "redirect") == 0;
  for (int at = 0; at < argc; at++) {
    unsigned long port;
    if (!parse_number(argv[at], 65535, &port)) return EXIT_USAGE;
    int code = ask_words("plant", 1, argv + at, 1);
    if (code != EXIT_FINE) return code;
    int problem = redirect ? redirect_port((uint16_t)port) : 0;
    if (problem == 0) continue;
    complain("cannot redirect port %lu: %s", port, strerror(problem));
    return EXIT_NEGATIVE;
  }
  return EXIT_FINE;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*act)(int argc, char **argv);
  } COMMANDS[] = {
      {"serve", serve},   {"ready", ready}, {"run", run},     {"status", status}, {"signal", send_signal},
      {"plant", plant},   {"tried", tried}, {"mode", mode},   {"dial", dial},     {"put", put},
      {"get", get},                 {"tmpfs", tmpfs},   {"probe", probe},
  };
  for (size_t at = 0; argc > 1 && at < sizeof COMMANDS / sizeof *COMMANDS; at++)
    if (strcmp(COMMANDS[at].name, argv[1]) == 0) return COMMANDS[at].act(argc - 2, argv + 2);
  complain("usage: sand-relay serve|ready|run|status|signal|plant|tried|mode|dial|put|get|tmpfs|probe ...");
  return EXIT_USAGE;
}
