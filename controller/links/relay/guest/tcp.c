/*
 * Connections of the guest, each tied to one of its own to the host's socket: header first, then bytes both ways with
 * half-close. No byte is kept here: what one side has is looked at, given to the other, and only what that took is
 * taken out, so that a slow reader holds back its own writer and nothing else.
 */
#include "relay.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENT, HOST };
/* Chunks of one direction before other connections have their turn. */
enum { CHUNKS_A_TURN = 4 };
/* How often a connection whose header nobody has read yet is looked at. */
enum { SETTLING_MS = 250 };

struct connection;
struct side {
  struct source source; /* first: the loop's pointer to it is a pointer to the side */
  struct connection *owner;
  uint32_t events;
  bool ended;   /* it will send no more, and the other side has been told */
  bool blocked; /* what it has sent does not fit into the other side yet */
};

struct connection {
  struct side side[2];
  const char *path;
  int64_t deadline;
  /* What lay unread at the host when something was last sent: -1 once the host has read, or answered. */
  int unread;
  uint8_t header[HEADER_BYTES];
  uint8_t header_length;
  bool used;
};

static struct connection connections[CONNECTIONS];
static unsigned most_connections;
static unsigned used_connections;
static unsigned unsettled;
static uint8_t chunk[CHUNK];

void tcp_open(unsigned most) { most_connections = most < CONNECTIONS ? most : CONNECTIONS; }

void reset(int fd) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

int connect_host(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int problem = errno;
  close(fd);
  errno = problem;
  return -1;
}

/* Bytes that the host has not read; -1 where the kernel does not tell. */
static int host_unread(const struct connection *it) {
  int bytes = 0;
  return ioctl(it->side[HOST].source.fd, SIOCOUTQ, &bytes) == 0 ? bytes : -1;
}

static bool is_settled(const struct connection *it) { return it->unread < 0; }

static void settle(struct connection *it) {
  if (is_settled(it)) return;
  it->unread = -1;
  unsettled--;
}

static void drop(struct connection *it, bool with_reset) {
  settle(it);
  if (it->side[HOST].source.fd >= 0) close(it->side[HOST].source.fd);
  if (with_reset) reset(it->side[CLIENT].source.fd);
  else close(it->side[CLIENT].source.fd);
  it->side[HOST].source.fd = it->side[CLIENT].source.fd = -1;
  it->used = false;
  used_connections--;
}

static void want(struct connection *it, int which) {
  struct side *side = &it->side[which];
  uint32_t events = 0;
  if (!side->ended && !side->blocked) events |= EPOLLIN;
  if (it->side[!which].blocked) events |= EPOLLOUT;
  if (events != side->events) loop_change(&side->source, events);
  side->events = events;
}

/*
 * What is sent adds to what lies unread, and the host reads in order: less than before, and it has read the header.
 * False only where the host reads just the header while this runs, and then nothing for as long as CONNECT_MS.
 */
static void note_unread(struct connection *it) {
  if (is_settled(it)) return;
  int unread = host_unread(it);
  if (unread <= 0 || unread < it->unread) settle(it);
  else it->unread = unread;
}

/* Moves what there is from one side to the other; false where the connection is at its end. */
static bool pump(struct connection *it, int from) {
  struct side *side = &it->side[from];
  int source = side->source.fd;
  int target = it->side[!from].source.fd;
  side->blocked = false;
  for (int turn = 0; turn < CHUNKS_A_TURN && !side->ended; turn++) {
    ssize_t seen = recv(source, chunk, CHUNK, MSG_PEEK | MSG_DONTWAIT);
    if (seen < 0) return errno == EAGAIN || errno == EINTR;
    if (seen == 0) {
      side->ended = true;
      shutdown(target, SHUT_WR);
      return true;
    }
    if (from == HOST) settle(it);
    else note_unread(it);
    ssize_t sent = send(target, chunk, (size_t)seen, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    side->blocked = sent < seen;
    if (sent <= 0) return true;
    /* Of a TCP socket the kernel throws away what was sent without copying it again. */
    if (recv(source, chunk, (size_t)sent, MSG_DONTWAIT | (from == CLIENT ? MSG_TRUNC : 0)) != sent) return false;
    if (from == CLIENT) note_unread(it);
    if (side->blocked) return true;
  }
  return true;
}

/* Nobody reads or writes at that end any more. An event may be one of an earlier owner of the slot, so it is asked. */
static bool hung_up(int fd) {
  struct pollfd state = {.fd = fd};
  return poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

static void ready(struct source *source, uint32_t events) {
  struct side *side = (struct side *)source;
  struct connection *it = side->owner;
  int which = side == &it->side[HOST];
  if (it->side[HOST].source.fd < 0) {
    if (hung_up(source->fd)) drop(it, true);
    return;
  }
  bool alive = true;
  if ((events & EPOLLOUT) != 0 && it->side[!which].blocked) alive = pump(it, !which);
  if (alive && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !side->ended && !side->blocked)
    alive = pump(it, which);
  if (!alive) return drop(it, true);
  bool over = it->side[CLIENT].ended && it->side[HOST].ended;
  /* The host has gone altogether, and the guest has all that it said. */
  if (it->side[HOST].ended && hung_up(it->side[HOST].source.fd)) over = true;
  if (over) return drop(it, false);
  /* A client that was reset while what it said waits for the host. */
  if (which == CLIENT && (events & EPOLLERR) != 0 && hung_up(source->fd)) return drop(it, true);
  want(it, CLIENT);
  want(it, HOST);
}

/* False where there is no use in another try. */
static bool reach_host(struct connection *it, int64_t now) {
  int fd = connect_host(it->path);
  if (fd < 0) return errno == EAGAIN && now < it->deadline;
  struct side *host = &it->side[HOST];
  host->source = (struct source){.ready = ready, .fd = fd};
  host->events = EPOLLIN;
  if (send(fd, it->header, it->header_length, MSG_NOSIGNAL | MSG_DONTWAIT) != it->header_length) return false;
  if (!loop_add(&host->source, EPOLLIN)) return false;
  note_unread(it);
  want(it, CLIENT);
  return true;
}

void tcp_accept(int client, const char *path, const struct place *from, const struct place *to) {
  struct connection *it = NULL;
  if (used_connections < most_connections)
    for (unsigned at = 0; at < most_connections && it == NULL; at++)
      if (!connections[at].used) it = &connections[at];
  /* Fail closed: more than the table holds, and nothing is kept waiting for a place in it. */
  if (it == NULL) return reset(client);
  memset(it, 0, sizeof *it);
  it->used = true;
  it->path = path;
  it->deadline = now_ms() + CONNECT_MS;
  it->header_length = (uint8_t)encode_header(it->header, false, from, to);
  it->side[CLIENT] = (struct side){.source = {.ready = ready, .fd = client}, .owner = it};
  it->side[HOST] = (struct side){.source = {.fd = -1}, .owner = it};
  used_connections++;
  unsettled++;
  if (!loop_add(&it->side[CLIENT].source, 0) || !reach_host(it, now_ms())) drop(it, true);
}

int tcp_tick(int64_t now) {
  int next = -1;
  for (unsigned at = 0; at < most_connections && unsettled > 0; at++) {
    struct connection *it = &connections[at];
    if (!it->used || is_settled(it)) continue;
    bool connected = it->side[HOST].source.fd >= 0;
    if (connected) note_unread(it);
    else if (!reach_host(it, now)) {
      drop(it, true);
      continue;
    } else connected = it->side[HOST].source.fd >= 0;
    if (is_settled(it)) continue;
    /* Fail closed: a relay that takes connections and reads none of them is dead. */
    if (now >= it->deadline) drop(it, true);
    else if (!connected) next = RETRY_MS;
    else if (next < 0) next = SETTLING_MS;
  }
  return next;
}
