/*
 * The listeners of PID 1 and where what they accept goes: the mode says how a destination is told, and what is no
 * destination of the outside is reset here.
 */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of netfilter's ABI; its header wants more of the kernel's than this. */
enum { ORIGINAL_DESTINATION = 80 };
/* After an accept that had no descriptor left. */
enum { PAUSE_MS = 100 };

enum purpose { FOR_PROXY, FOR_REDIRECT, FOR_PLANTED, FOR_DNS };

struct listener {
  struct source source; /* first: the loop's pointer to it is a pointer to the listener */
  enum purpose purpose;
};

static struct listener listeners[LISTENERS];
static unsigned listener_count;
static uint16_t planted[PORTS];
static unsigned planted_count;
static enum relay_mode chosen;
/* When listeners that ran out of descriptors are heard again; 0 is never. */
static int64_t paused_until;

enum relay_mode listeners_mode(void) { return chosen; }

bool is_planted(uint16_t port) {
  for (unsigned at = 0; at < planted_count; at++)
    if (planted[at] == port) return true;
  return false;
}

static bool original_destination(int fd, const struct place *local, struct place *to) {
  struct sockaddr_storage address = {0};
  socklen_t size = sizeof address;
  if (getsockopt(fd, local->six ? IPPROTO_IPV6 : IPPROTO_IP, ORIGINAL_DESTINATION, &address, &size) != 0) return false;
  /* The kernel's IPv4 answer names its family too. */
  *to = place_of(&address);
  return true;
}

/* Synthetic addresses that the host's resolver gives to names in loopback mode: 127.18.0.0/15. */
static bool is_synthetic(const struct place *to) {
  return !to->six && to->address[0] == 127 && (to->address[1] & 0xfe) == 18;
}

/* False where the connection has no destination that the host could reach for it. */
static bool destination(const struct listener *listener, int fd, struct place *to) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) return false;
  struct place local = place_of(&address);
  *to = local;
  switch (listener->purpose) {
    case FOR_PROXY:
    case FOR_DNS:
      return true;
    case FOR_REDIRECT:
      return original_destination(fd, &local, to) && !is_loopback(to);
    case FOR_PLANTED:
      return chosen == MODE_LOOPBACK ? is_synthetic(to) : !is_loopback(to);
  }
  return false;
}

static void take(const struct listener *listener, int fd, const struct sockaddr_storage *peer) {
  struct place from = place_of(peer);
  struct place to;
  /* Fail closed: a connection to a loopback address is the guest's own, and nothing of it leaves. */
  if (!destination(listener, fd, &to)) return reset(fd);
  if (listener->purpose == FOR_DNS) to.port = DNS_PORT;
  tcp_accept(fd, listener->purpose == FOR_DNS ? DNS_SOCKET : PROXY_SOCKET, &from, &to);
}

static void hear(bool on) {
  for (unsigned at = 0; at < listener_count; at++) loop_change(&listeners[at].source, on ? EPOLLIN : 0);
  paused_until = on ? 0 : now_ms() + PAUSE_MS;
}

static void accept_ready(struct source *source, uint32_t events) {
  (void)events;
  for (int turn = 0; turn < ACCEPTS_A_TURN; turn++) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int fd = accept4(source->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) take((struct listener *)source, fd, &peer);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) return hear(false);
    else if (errno != EINTR && errno != ECONNABORTED) return;
  }
}

int listeners_tick(int64_t now) {
  if (paused_until == 0) return -1;
  if (now < paused_until) return (int)(paused_until - now);
  hear(true);
  return -1;
}

/* 0 or an errno. */
static int listen_at(const char *where, uint16_t port, enum purpose purpose) {
  struct place place;
  struct sockaddr_storage address;
  int on = 1;
  if (listener_count == LISTENERS) return ENOSPC;
  if (!parse_address(where, &place)) return EINVAL;
  place.port = port;
  int fd = socket(place.six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (place.six) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  socklen_t length = address_of(&place, &address);
  struct listener *listener = &listeners[listener_count];
  *listener = (struct listener){.source = {.ready = accept_ready, .fd = fd}, .purpose = purpose};
  if (bind(fd, (struct sockaddr *)&address, length) == 0 && listen(fd, BACKLOG) == 0 &&
      loop_add(&listener->source, EPOLLIN)) {
    listener_count++;
    return 0;
  }
  int problem = errno;
  close(fd);
  return problem;
}

static void must_listen(const char *where, uint16_t port, enum purpose purpose) {
  int problem = listen_at(where, port, purpose);
  if (problem == 0) return;
  complain("cannot listen on %s port %d: error %d", where, port, problem);
  exit(EXIT_FAILED);
}

/* A kernel without IPv6 has nobody who would connect by it. */
static bool has_six(void) {
  int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  struct place one;
  struct sockaddr_storage address;
  parse_address("::1", &one);
  bool has = bind(fd, (struct sockaddr *)&address, address_of(&one, &address)) == 0;
  close(fd);
  return has;
}

static void listen_for_dns(const char *where) {
  struct place place;
  must_listen(where, DNS_PORT, FOR_DNS);
  parse_address(where, &place);
  place.port = DNS_PORT;
  if (dns_listen(&place)) return;
  complain("cannot answer on %s port %d: error %d", where, DNS_PORT, errno);
  exit(EXIT_FAILED);
}

void listeners_open(enum relay_mode mode) {
  bool six = has_six();
  /* Questions to any server arrive at the resolver's port of that server's address where nothing redirects them. */
  bool any = mode == MODE_LISTEN;
  chosen = mode;
  must_listen("127.0.0.1", PROXY_PORT, FOR_PROXY);
  listen_for_dns(any ? "0.0.0.0" : "127.0.0.1");
  if (six) listen_for_dns(any ? "::" : "::1");
  if (mode != MODE_REDIRECT) return;
  must_listen("127.0.0.1", REDIRECT_PORT, FOR_REDIRECT);
  if (six) must_listen("::1", REDIRECT_PORT, FOR_REDIRECT);
}

int listeners_plant(uint16_t port) {
  if (port == 0 || port == DNS_PORT || port == PROXY_PORT || port == REDIRECT_PORT) return EINVAL;
  if (is_planted(port)) return 0;
  if (planted_count == PORTS) return ENOSPC;
  if (chosen != MODE_REDIRECT) {
    int problem = listen_at("0.0.0.0", port, FOR_PLANTED);
    if (problem != 0) return problem;
    if (has_six()) problem = listen_at("::", port, FOR_PLANTED);
    if (problem != 0) return problem;
  }
  planted[planted_count++] = port;
  return 0;
}
