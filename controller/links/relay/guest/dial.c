/* The way in: one connection to a server of the guest's own on loopback, tied to stdin and stdout. */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const PLACES[] = {"127.0.0.1", "::1"};
enum { CONNECTED = 1, REFUSED = 0 };

/* A connected descriptor, or -1 with errno. */
static int connect_to(const char *where, uint16_t port) {
  struct place place;
  struct sockaddr_storage address;
  int problem = 0;
  socklen_t size = sizeof problem;
  if (!parse_address(where, &place)) return -1;
  place.port = port;
  struct pollfd wait = {.fd = socket(place.six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                        .events = POLLOUT};
  if (wait.fd < 0) return -1;
  socklen_t length = address_of(&place, &address);
  if (connect(wait.fd, (struct sockaddr *)&address, length) == 0) return wait.fd;
  problem = errno;
  if (problem == EINPROGRESS) {
    if (poll(&wait, 1, DIAL_MS) != 1) problem = ETIMEDOUT;
    else if (getsockopt(wait.fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) problem = errno;
  }
  if (problem == 0) return wait.fd;
  close(wait.fd);
  errno = problem;
  return -1;
}

struct direction {
  uint8_t bytes[CHUNK];
  size_t start;
  size_t end;
  int from;
  int to;
  bool ended;
};

static struct direction in;
static struct direction out;

/* Moves what it can; false where the other side takes no more. */
static bool move(struct direction *it, bool readable, bool writable) {
  if (it->start == it->end && readable && !it->ended) {
    ssize_t got = read(it->from, it->bytes, sizeof it->bytes);
    if (got < 0 && errno != EAGAIN && errno != EINTR) got = 0;
    if (got == 0) it->ended = true;
    it->start = 0;
    it->end = got > 0 ? (size_t)got : 0;
    writable = true;
  }
  if (it->start < it->end && writable) {
    ssize_t put = write(it->to, it->bytes + it->start, it->end - it->start);
    if (put < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (put > 0) it->start += (size_t)put;
  }
  if (it->ended && it->start == it->end && it->to >= 0) {
    /* The half-close: a socket stays open for the other direction, stdout is done. */
    if (shutdown(it->to, SHUT_WR) != 0) close(it->to);
    it->to = -1;
  }
  return true;
}

static short wants(const struct direction *it) { return it->start == it->end && !it->ended ? POLLIN : 0; }

static int relay(int server) {
  in.from = STDIN_FILENO;
  out.to = STDOUT_FILENO;
  in.to = out.from = server;
  while (in.to >= 0 || out.to >= 0) {
    struct pollfd wait[4] = {
        {.fd = wants(&in) ? in.from : -1, .events = POLLIN},
        {.fd = in.start < in.end ? in.to : -1, .events = POLLOUT},
        {.fd = wants(&out) ? out.from : -1, .events = POLLIN},
        {.fd = out.start < out.end ? out.to : -1, .events = POLLOUT},
    };
    if (poll(wait, 4, -1) < 0 && errno != EINTR) return EXIT_NEGATIVE;
    if (!move(&in, wait[0].revents != 0, wait[1].revents != 0)) return EXIT_NEGATIVE;
    if (!move(&out, wait[2].revents != 0, wait[3].revents != 0)) return EXIT_NEGATIVE;
  }
  return EXIT_FINE;
}

int dial(int argc, char **argv) {
  unsigned long port;
  char line[PROBE_LINE] = {REFUSED};
  size_t length = 1;
  static const char connected = CONNECTED;
  if (argc != 1 || !parse_number(argv[0], 65535, &port) || port == 0) {
    complain("usage: sand-relay dial PORT");
    return EXIT_USAGE;
  }
  signal(SIGPIPE, SIG_IGN);
  for (size_t at = 0; at < sizeof PLACES / sizeof *PLACES; at++) {
    int server = connect_to(PLACES[at], (uint16_t)port);
    if (server >= 0) return write_all(STDOUT_FILENO, &connected, 1) ? relay(server) : EXIT_NEGATIVE;
    length += format(line + length, sizeof line - length, "%s%s: %s", at == 0 ? "" : ", ", PLACES[at],
                               strerror(errno));
  }
  line[length++] = '\n';
  write_all(STDOUT_FILENO, line, length);
  return EXIT_NEGATIVE;
}
