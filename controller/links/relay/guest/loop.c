/* The one loop of PID 1: epoll, level-triggered, over sources that live in static tables. */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { EVENTS_A_TURN = 64 };

static int epoll_fd = -1;

void loop_open(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd >= 0) return;
  complain("no epoll: error %d", errno);
  exit(EXIT_FAILED);
}

/*
 * The end of the other side is always reported. Level-triggered, a source that waits for nothing else would report
 * it in every turn, so that one is edge-triggered.
 */
static struct epoll_event interest(struct source *source, uint32_t events) {
  return (struct epoll_event){.events = events == 0 ? EPOLLET : events, .data.ptr = source};
}

bool loop_add(struct source *source, uint32_t events) {
  struct epoll_event event = interest(source, events);
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &event) == 0;
}

void loop_change(struct source *source, uint32_t events) {
  struct epoll_event event = interest(source, events);
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

void loop_turn(int timeout_ms) {
  struct epoll_event events[EVENTS_A_TURN];
  int count = epoll_wait(epoll_fd, events, EVENTS_A_TURN, timeout_ms);
  for (int at = 0; at < count; at++) {
    struct source *source = events[at].data.ptr;
    /* One that was closed earlier in this turn, by the other side of its connection. */
    if (source->fd >= 0) source->ready(source, events[at].events);
  }
}
