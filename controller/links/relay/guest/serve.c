/*
 * PID 1 of the guest: sets up the network and the mounts, gives up what it needed for that, and relays until it is
 * told to end. It starts nothing; what others leave behind it reaps.
 */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Beside the tables: control, packets, epoll, signals, the life, and one connection to hand over. */
enum { OTHER_DESCRIPTORS = CONTROLS + 48 };
/* Ports that come later take what is left of the tables' share; most guests get none. */
enum { LATER_PORTS = 32 };

static struct source signals;
/* When the guest was told to end; 0 is not yet. */
static int64_t ending_since;

struct plan {
  uint16_t port[PORTS];
  unsigned ports;
  struct {
    const char *path;
    const char *source; /* of a placed file; else NULL */
    bool read_only;
  } held[HELD];
  unsigned holds;
};

static struct plan plan;

static bool add_hold(const char *source, const char *path, bool read_only) {
  if (plan.holds == HELD || path[0] != '/') return false;
  plan.held[plan.holds].source = source;
  plan.held[plan.holds].path = path;
  plan.held[plan.holds++].read_only = read_only;
  return true;
}

static bool parse_plan(int argc, char **argv) {
  for (int at = 0; at < argc; at += 2) {
    unsigned long port;
    bool read_only = strcmp(argv[at], "--protect") == 0;
    if (at + 1 == argc) return false;
    if (strcmp(argv[at], "--port") == 0) {
      if (plan.ports == PORTS || !parse_number(argv[at + 1], 65535, &port) || port == 0) return false;
      plan.port[plan.ports++] = (uint16_t)port;
    } else if (read_only || strcmp(argv[at], "--hold") == 0) {
      if (!add_hold(NULL, argv[at + 1], read_only)) return false;
    } else if (strcmp(argv[at], "--place") == 0 && at + 2 < argc) {
      if (!add_hold(argv[at + 1], argv[at + 2], false)) return false;
      at++;
    } else {
      return false;
    }
  }
  return true;
}

static bool open_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return signals.fd >= 0;
}

static void reap(void) {
  while (waitpid(-1, NULL, WNOHANG) > 0) continue;
}

static void signal_ready(struct source *source, uint32_t events) {
  (void)events;
  struct signalfd_siginfo info;
  while (read(source->fd, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGTERM || ending_since != 0) continue;
    ending_since = now_ms();
    kill(-1, SIGTERM);
    /* One that is stopped would never hear it. */
    kill(-1, SIGCONT);
  }
  reap();
}

/* Milliseconds until the next look, or -1; does not return when the guest has ended. */
static int end_tick(int64_t now) {
  if (ending_since == 0) return -1;
  reap();
  bool empty = kill(-1, 0) != 0 && errno == ESRCH;
  if (!empty && now - ending_since < ENDING_MS) return RETRY_MS;
  kill(-1, SIGKILL);
  _exit(EXIT_FINE);
}

/* The tables are never larger than the descriptors that they may need. */
static bool size_tables(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  rlim_t others = OTHER_DESCRIPTORS + 2 * (plan.ports + LATER_PORTS);
  rlim_t most = others + QUERIES + 2 * CONNECTIONS;
  rlim_t free = (limit.rlim_cur < most ? limit.rlim_cur : most);
  if (free <= others + 64) {
    complain("%lu open files are too few", (unsigned long)limit.rlim_cur);
    return false;
  }
  free -= others;
  unsigned queries = (unsigned)(free / 8 < QUERIES ? free / 8 : QUERIES);
  dns_open(queries);
  tcp_open((unsigned)((free - queries) / 2));
  return true;
}

static enum relay_mode choose_mode(void) {
  struct route_setup routes = set_up_routes();
  if (!routes.permitted || !routes.four) return MODE_LOOPBACK;
  return set_up_redirect() == 0 ? MODE_REDIRECT : MODE_LISTEN;
}

static bool plant(uint16_t port) {
  int problem = listeners_plant(port);
  if (problem == 0 && listeners_mode() == MODE_REDIRECT) problem = redirect_port(port);
  if (problem == 0) return true;
  complain("cannot plant port %u: %s", port, strerror(problem));
  return false;
}

static bool make_hold(unsigned at) {
  const char *source = plan.held[at].source;
  if (source != NULL) return place_file(source, plan.held[at].path);
  return hold(plan.held[at].path, plan.held[at].read_only);
}

/* Never closed: the host sees it end with the guest, however that comes about. */
static bool announce_life(void) {
  uint8_t header[LIFE_HEADER_BYTES];
  int fd = connect_host(PROXY_SOCKET);
  encode_life_header(header);
  if (fd >= 0 && write_all(fd, header, sizeof header)) return true;
  complain("cannot reach the host at %s: %s", PROXY_SOCKET, strerror(errno));
  return false;
}

static bool set_up(void) {
  if (!open_signals()) return false;
  loop_open();
  signals.ready = signal_ready;
  if (!loop_add(&signals, EPOLLIN) || !size_tables()) return false;
  listeners_open(choose_mode());
  for (unsigned at = 0; at < plan.ports; at++)
    if (!plant(plan.port[at])) return false;
  tried_open();
  for (unsigned at = 0; at < plan.holds; at++)
    /* Fail closed: a path that cannot be protected is not left as it is. */
    if (!make_hold(at)) return false;
  /* Fail closed: PID 1 serves the guest only without what it set the guest up with. */
  if (!keep_workload_capabilities()) {
    complain("cannot give up capabilities: %s", strerror(errno));
    return false;
  }
  if (!announce_life()) return false;
  /* Last: whoever reaches it finds a guest that is set up. */
  if (control_open()) return true;
  complain("cannot open the control socket: %s", strerror(errno));
  return false;
}

static int earlier(int one, int other) {
  if (one < 0) return other;
  return other < 0 || one < other ? one : other;
}

int serve(int argc, char **argv) {
  if (!parse_plan(argc, argv)) {
    complain("usage: sand-relay serve [--port PORT]... [--place FILE PATH]... [--hold DIR]... [--protect PATH]...");
    return EXIT_USAGE;
  }
  /* Else the signal that ends a guest would go to every process of the machine. */
  if (getpid() != 1) {
    complain("serve runs as the first process of a guest alone");
    return EXIT_USAGE;
  }
  umask(022);
  if (!set_up()) return EXIT_FAILED;
  for (;;) {
    int64_t now = now_ms();
    int next = earlier(tcp_tick(now), dns_tick(now));
    next = earlier(next, earlier(listeners_tick(now), control_tick(now)));
    loop_turn(earlier(next, end_tick(now)));
  }
}
