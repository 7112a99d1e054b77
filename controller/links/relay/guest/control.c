/*
 * The way from the other sub-commands to PID 1: one message asks, one answers, and the connection is over. Only root
 * of this guest is heard.
 */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WORDS = 4 };

struct asker {
  struct source source; /* first: the loop's pointer to it is a pointer to the asker */
  pid_t process;
  int64_t deadline;
};

static struct source listener;
static struct asker askers[CONTROLS];
static char reply[REPLY_BYTES];

static const char *const MODES[] = {
    [MODE_REDIRECT] = "redirect", [MODE_LISTEN] = "listen", [MODE_LOOPBACK] = "loopback"};

static socklen_t control_address(struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path + 1, CONTROL_NAME, sizeof CONTROL_NAME - 1);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof CONTROL_NAME);
}

/* Splits at single spaces, in place; 0 where there are too many words. */
static int split(char *text, char *words[WORDS]) {
  int count = 0;
  for (char *at = text; at != NULL;) {
    if (count == WORDS) return 0;
    words[count++] = at;
    at = strchr(at, ' ');
    if (at != NULL) *at++ = '\0';
  }
  return count;
}

static size_t say(const char *text) {
  return format(reply, sizeof reply, "%s", text);
}

static size_t plant(const char *text) {
  unsigned long port;
  int problem = parse_number(text, 65535, &port) ? listeners_plant((uint16_t)port) : EINVAL;
  if (problem == 0) return say("planted");
  return format(reply, sizeof reply, "problem cannot listen there: %s", strerror(problem));
}

static size_t begin(pid_t runner, char *words[WORDS]) {
  unsigned long process;
  bool own = strcmp(words[3], "own") == 0;
  bool fine = (own || strcmp(words[3], "shared") == 0) && parse_number(words[2], INT32_MAX, &process) &&
              runs_begin(words[1], runner, (pid_t)process, own);
  return say(fine ? "begun" : "problem no place for that command");
}

/* The length of what `reply` then holds. */
static size_t answer(pid_t process, char *request) {
  char *words[WORDS];
  unsigned long status;
  int count = split(request, words);
  if (count == 1 && strcmp(words[0], "mode") == 0) return say(MODES[listeners_mode()]);
  if (count == 1 && strcmp(words[0], "tried") == 0) return tried_print(reply, sizeof reply);
  if (count == 2 && strcmp(words[0], "plant") == 0) return plant(words[1]);
  if (count == 4 && strcmp(words[0], "begin") == 0) return begin(process, words);
  if (count == 3 && strcmp(words[0], "end") == 0)
    return say(parse_number(words[2], 255, &status) && runs_end(words[1], process, (unsigned)status)
                   ? "ended"
                   : "problem no such command");
  if (count == 2 && strcmp(words[0], "status") == 0) {
    runs_status(words[1], reply, sizeof reply);
    return strlen(reply);
  }
  if (count == 3 && strcmp(words[0], "signal") == 0) {
    runs_signal(words[1], words[2], reply, sizeof reply);
    return strlen(reply);
  }
  return say("problem no such request");
}

static void leave(struct asker *it) {
  close(it->source.fd);
  it->source.fd = -1;
}

static void request_ready(struct source *source, uint32_t events) {
  (void)events;
  struct asker *it = (struct asker *)source;
  char request[REQUEST_BYTES + 1];
  ssize_t length = recv(source->fd, request, sizeof request, MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length > 0 && (size_t)length < sizeof request && memchr(request, '\0', (size_t)length) == NULL) {
    request[length] = '\0';
    size_t said = answer(it->process, request);
    send(source->fd, reply, said, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  leave(it);
}

static void asker_ready(struct source *source, uint32_t events) {
  (void)events;
  for (int turn = 0; turn < CONTROLS; turn++) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    struct asker *it = NULL;
    for (unsigned at = 0; at < CONTROLS && it == NULL; at++)
      if (askers[at].source.fd < 0) it = &askers[at];
    /* Fail closed: another user's request is not even read. */
    if (it == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != 0) {
      close(fd);
      continue;
    }
    *it = (struct asker){.source = {.ready = request_ready, .fd = fd},
                         .process = peer.pid,
                         .deadline = now_ms() + CONTROL_MS};
    if (!loop_add(&it->source, EPOLLIN)) leave(it);
  }
}

bool control_open(void) {
  struct sockaddr_un address;
  socklen_t length = control_address(&address);
  for (unsigned at = 0; at < CONTROLS; at++) askers[at].source.fd = -1;
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  listener = (struct source){.ready = asker_ready, .fd = fd};
  return bind(fd, (struct sockaddr *)&address, length) == 0 && listen(fd, CONTROLS) == 0 &&
         loop_add(&listener, EPOLLIN);
}

int control_tick(int64_t now) {
  int next = -1;
  for (unsigned at = 0; at < CONTROLS; at++) {
    if (askers[at].source.fd < 0) continue;
    if (now >= askers[at].deadline) leave(&askers[at]);
    else next = CONTROL_MS;
  }
  return next;
}

ssize_t control_ask(const char *request, char *answer_text, size_t size, int timeout_ms) {
  struct sockaddr_un address;
  struct ucred peer;
  socklen_t peer_size = sizeof peer;
  ssize_t length = -1;
  socklen_t address_length = control_address(&address);
  struct pollfd wait = {.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .events = POLLIN};
  if (wait.fd < 0) return -1;
  /* Fail closed: whoever else has taken that name is not believed. */
  if (connect(wait.fd, (struct sockaddr *)&address, address_length) == 0 &&
      getsockopt(wait.fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0 && peer.pid == 1 &&
      send(wait.fd, request, strlen(request), MSG_NOSIGNAL) >= 0 && poll(&wait, 1, timeout_ms) == 1) {
    length = recv(wait.fd, answer_text, size - 1, MSG_DONTWAIT);
    if (length >= 0) answer_text[length] = '\0';
  }
  close(wait.fd);
  return length;
}
