/*
 * Attacks of `probe` whose outcome the host sees for itself: a secret of its own read, a socket of its own reached, a
 * destination claimed at the gateway's socket, a server of the guest's that the host must not reach.
 */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { SECRET_BYTES = 65536, WAIT_SECONDS = 2, SERVE_MS = 4000 };

static const char *const VARIABLES[] = {"/proc/self/environ", "/proc/1/environ"};

/* 0 where the file has the word in its first bytes; ENOKEY where it can be read and has not. */
int file_holds(const char *path, const char *word) {
  static char bytes[SECRET_BYTES];
  size_t length = 0;
  ssize_t got;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno;
  while (length < sizeof bytes && (got = read(fd, bytes + length, sizeof bytes - length)) > 0) length += (size_t)got;
  close(fd);
  return memmem(bytes, length, word, strlen(word)) == NULL ? ENOKEY : 0;
}

/* Of this process and of the first one. */
int environment_holds(const char *word) {
  if (file_holds(VARIABLES[0], word) == 0) return 0;
  return file_holds(VARIABLES[1], word) == 0 ? 0 : ENOKEY;
}

static void bound_waits(int fd) {
  struct timeval limit = {.tv_sec = WAIT_SECONDS};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/* A connected descriptor or -1. */
static int dial_path(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
  memcpy(address.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  bound_waits(fd);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int problem = errno;
  close(fd);
  return errno = problem, -1;
}

int unix_socket(const char *path) {
  int fd = dial_path(path);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

/* 0 where a byte came back from whoever that destination is; ECONNRESET where the connection was ended. */
int claim_destination(const char *where, const char *port) {
  static const char hello[] = "GET / HTTP/1.0\r\n\r\n";
  struct place from = {.address = {127, 0, 0, 1}, .port = 1};
  struct place to;
  unsigned long number;
  uint8_t header[HEADER_BYTES];
  char byte;
  if (!parse_address(where, &to) || !parse_number(port, 65535, &number)) return EINVAL;
  to.port = (uint16_t)number;
  from.six = to.six;
  size_t length = encode_header(header, false, &from, &to);
  int fd = dial_path(PROXY_SOCKET);
  if (fd < 0) return errno;
  ssize_t got = -1;
  if (write_all(fd, header, length) && write_all(fd, hello, sizeof hello - 1)) got = recv(fd, &byte, 1, 0);
  int problem = got > 0 ? 0 : got < 0 && errno == EAGAIN ? ETIMEDOUT : ECONNRESET;
  close(fd);
  return problem;
}

/* By poll, and piece by piece: gVisor has neither time limits nor MSG_WAITALL for a socket that is the host's. */
static bool says(int fd, const char *word) {
  char heard[64];
  size_t wanted = strlen(word);
  size_t length = 0;
  if (wanted > sizeof heard) return false;
  while (length < wanted) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    ssize_t got = poll(&waiting, 1, WAIT_SECONDS * 1000) == 1 ? recv(fd, heard + length, wanted - length, 0) : 0;
    if (got <= 0) return false;
    length += (size_t)got;
  }
  return memcmp(heard, word, wanted) == 0;
}

static bool reach_own(const struct sockaddr_in *address, int listener, const char *word) {
  struct sockaddr_in near = *address;
  near.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&near, sizeof near) != 0) return close(fd), false;
  int client = accept(listener, NULL, NULL);
  bool fine = client >= 0 && write_all(client, word, strlen(word)) && says(fd, word);
  close(fd);
  if (client >= 0) close(client);
  return fine;
}

/* Serves the word on every address for a while. ENOTCONN where nobody but this guest itself came; 0 where somebody did. */
int serve_here(const char *port, const char *word) {
  unsigned long number;
  int on = 1;
  if (!parse_number(port, 65535, &number)) return EINVAL;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4) != 0) return errno;
  if (!reach_own(&address, fd, word)) return EIO;
  int64_t deadline = now_ms() + SERVE_MS;
  for (int64_t left; (left = deadline - now_ms()) > 0;) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    if (poll(&waiting, 1, (int)left) <= 0) continue;
    int client = accept(fd, NULL, NULL);
    if (client < 0) continue;
    write_all(client, word, strlen(word));
    close(client);
    close(fd);
    return 0;
  }
  close(fd);
  return ENOTCONN;
}

int control_socket(void) {
  char reply[REQUEST_BYTES];
  return control_ask("mode", reply, sizeof reply, CONTROL_MS) > 0 ? 0 : EACCES;
}

/* As an ordinary user where this one can become that; the relay's socket is root's. */
int control_as_nobody(void) {
  enum { NOBODY = 65534 };
  if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) return errno;
  return control_socket();
}
