/*
 * The first process of an emulated machine: starts what entry.c is told to do, and carries its bytes, and those of
 * connections to the guest's sockets, over virtio-serial ports: one for processes, one for each socket. What runs in the
 * guest, and what a connection is joined to, is decided on the host (port.ts, machine.ts).
 *
 * A frame has eight bytes, number of the stream and kind | length << 8, both little-endian, and a payload. Each side may have
 * WINDOW bytes of a stream on their way, and is told by CREDIT when they have been taken, so that a stream that is slow
 * holds up no other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { OPEN = 1, DATA, END, RESET, CREDIT };
enum { HEADER = 8, WINDOW = 65536, CHUNK = 16384, MOST_PAYLOAD = 262144, OUT = 1 << 20, RESERVE = 65536 };
enum { PORTS = 17, STREAMS = 1024, CALLS = 64, FDS = 5, WORDS = 8192, REPORT_FD = 3 };

struct port {
  int fd, listener;
  uint32_t next; /* of the streams that the guest opens */
  unsigned char in[HEADER + MOST_PAYLOAD];
  size_t in_size;
  unsigned char *out; /* a ring */
  size_t out_from, out_size;
};

struct stream {
  int used, port;
  uint32_t id;
  int from, to; /* what is read here goes to the host, what comes from there is written here; the same for a socket */
  int is_pending, has_sent_end, has_got_end, has_shut;
  size_t credit; /* that may still be sent */
  unsigned char *bytes; /* a ring of what came and is not written yet */
  size_t start, size;
};

/* A process on its way: it starts when all of its streams are there. */
struct call {
  uint32_t id; /* 0 for none */
  unsigned wanted, there;
  int streams[FDS];
  char *text;
  size_t text_size;
};

static struct port ports[PORTS];
static int port_count;
static struct stream streams[STREAMS];
static struct call calls[CALLS];

static void end_machine(const char *why) {
  fprintf(stderr, "agent: %s: %s\n", why, strerror(errno));
  reboot(RB_POWER_OFF);
  _exit(1);
}

static void put_out(struct port *port, const void *bytes, size_t size) {
  const unsigned char *from = bytes;
  if (port->out_size + size > OUT) end_machine("too much on its way to the host");
  for (size_t done = 0; done < size;) {
    size_t at = (port->out_from + port->out_size) % OUT;
    size_t part = size - done < OUT - at ? size - done : OUT - at;
    memcpy(port->out + at, from + done, part);
    port->out_size += part;
    done += part;
  }
}

static void send_frame(int at, uint32_t id, unsigned kind, const void *payload, size_t size) {
  uint32_t head[2] = {id, kind | (uint32_t)size << 8};
  put_out(&ports[at], head, HEADER);
  if (size > 0) put_out(&ports[at], payload, size);
}

static struct stream *find_stream(int port, uint32_t id) {
  for (int at = 0; at < STREAMS; at++)
    if (streams[at].used && streams[at].port == port && streams[at].id == id) return &streams[at];
  return NULL;
}

static struct stream *add_stream(int port, uint32_t id) {
  for (int at = 0; at < STREAMS; at++) {
    if (streams[at].used) continue;
    unsigned char *bytes = malloc(WINDOW);
    if (bytes == NULL) return NULL;
    streams[at] = (struct stream){.used = 1, .port = port, .id = id, .from = -1, .to = -1, .credit = WINDOW, .bytes = bytes};
    return &streams[at];
  }
  return NULL;
}

static void free_stream(struct stream *stream) {
  int number = (int)(stream - streams);
  if (stream->from >= 0) close(stream->from);
  if (stream->to >= 0 && stream->to != stream->from) close(stream->to);
  free(stream->bytes);
  stream->used = 0;
  for (int at = 0; at < CALLS; at++)
    for (int fd = 0; calls[at].id != 0 && fd < FDS; fd++)
      if (calls[at].streams[fd] == number) calls[at].id = 0;
}

static void reset_stream(struct stream *stream) {
  send_frame(stream->port, stream->id, RESET, NULL, 0);
  free_stream(stream);
}

static void free_when_done(struct stream *stream) {
  if (stream->has_sent_end && stream->has_got_end && stream->size == 0) free_stream(stream);
}

/* The host will send no more: what is written to learns of it when all has been. */
static void end_writing(struct stream *stream) {
  if (!stream->has_got_end || stream->size > 0 || stream->has_shut || stream->is_pending) return;
  stream->has_shut = 1;
  if (stream->to < 0) return;
  if (stream->to == stream->from) shutdown(stream->to, SHUT_WR);
  else close(stream->to), stream->to = -1;
}

static void write_stream(struct stream *stream) {
  while (stream->to >= 0 && stream->size > 0) {
    size_t part = stream->size < WINDOW - stream->start ? stream->size : WINDOW - stream->start;
    ssize_t done = write(stream->to, stream->bytes + stream->start, part);
    if (done < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (done <= 0) return reset_stream(stream);
    stream->start = (stream->start + (size_t)done) % WINDOW;
    stream->size -= (size_t)done;
    uint32_t taken = (uint32_t)done;
    send_frame(stream->port, stream->id, CREDIT, &taken, sizeof taken);
  }
  end_writing(stream);
  free_when_done(stream);
}

static void read_stream(struct stream *stream) {
  static unsigned char bytes[CHUNK];
  size_t most = stream->credit < CHUNK ? stream->credit : CHUNK;
  ssize_t got = read(stream->from, bytes, most);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0 && stream->to == stream->from) return reset_stream(stream);
  if (got > 0) {
    stream->credit -= (size_t)got;
    return send_frame(stream->port, stream->id, DATA, bytes, (size_t)got);
  }
  send_frame(stream->port, stream->id, END, NULL, 0);
  stream->has_sent_end = 1;
  if (stream->to != stream->from) close(stream->from), stream->from = -1;
  free_when_done(stream);
}

/* Streams are polled, whatever becomes of the host's descriptors of the same file. */
static void start_call(struct call *call) {
  static char *words[WORDS + 2];
  int ends[FDS][2], count = 0;
  words[count++] = "/entry";
  for (char *at = call->text; at < call->text + call->text_size && count < WORDS; at += strlen(at) + 1) words[count++] = at;
  words[count] = NULL;
  for (int fd = 0; fd < FDS; fd++) {
    int is_input = fd == 0 || fd == 4;
    ends[fd][0] = ends[fd][1] = -1;
    if (!(call->wanted >> fd & 1)) continue;
    if (pipe2(ends[fd], O_CLOEXEC)) end_machine("no pipe");
    struct stream *stream = &streams[call->streams[fd]];
    int own = ends[fd][is_input ? 1 : 0];
    fcntl(own, F_SETFL, O_NONBLOCK);
    if (is_input) {
      stream->to = own;
      send_frame(stream->port, stream->id, END, NULL, 0);
      stream->has_sent_end = 1;
    } else stream->from = own;
    stream->is_pending = 0;
  }
  pid_t child = fork();
  if (child < 0) end_machine("no process");
  if (child == 0) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Above all numbers that are given out, so that none is overwritten before it was used. */
    for (int fd = 0; fd < FDS; fd++) {
      int theirs = ends[fd][fd == 0 || fd == 4 ? 0 : 1];
      ends[fd][0] = fcntl(theirs < 0 ? null : theirs, F_DUPFD_CLOEXEC, 16);
    }
    for (int fd = 0; fd < FDS; fd++) dup2(ends[fd][0], fd);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    execv(words[0], words);
    _exit(127);
  }
  for (int fd = 0; fd < FDS; fd++) if (ends[fd][0] >= 0) close(ends[fd][fd == 0 || fd == 4 ? 0 : 1]);
  call->id = 0;
  for (int fd = 0; fd < FDS; fd++)
    if (call->wanted >> fd & 1 && streams[call->streams[fd]].used) write_stream(&streams[call->streams[fd]]);
}

static struct call *find_call(uint32_t id) {
  for (int at = 0; at < CALLS; at++) if (calls[at].id == id) return &calls[at];
  for (int at = 0; at < CALLS; at++) {
    if (calls[at].id != 0) continue;
    free(calls[at].text);
    calls[at] = (struct call){.id = id, .streams = {-1, -1, -1, -1, -1}};
    return &calls[at];
  }
  return NULL;
}

/* `run CALL MASK` and words that end in NUL, which opens descriptor 3; `fd CALL NUMBER`; `signal PID NUMBER`. */
static void open_from_host(int port, uint32_t id, char *text, size_t size) {
  unsigned first, second;
  char verb[8];
  text[size] = 0;
  struct stream *stream = add_stream(port, id);
  if (stream == NULL) return send_frame(port, id, RESET, NULL, 0);
  if (sscanf(text, "%7s %u %u", verb, &first, &second) != 3) return reset_stream(stream);
  if (strcmp(verb, "signal") == 0) {
    kill((pid_t)first, (int)second);
    send_frame(port, id, END, NULL, 0);
    stream->has_sent_end = 1;
    return;
  }
  struct call *call = find_call(first);
  int fd = strcmp(verb, "run") == 0 ? REPORT_FD : (int)second;
  if (call == NULL || fd < 0 || fd >= FDS || call->there >> fd & 1) return reset_stream(stream);
  if (fd == REPORT_FD) {
    size_t head = strlen(text) + 1;
    call->wanted = second & 0x1f;
    call->text_size = size > head ? size - head : 0;
    call->text = malloc(call->text_size + 1);
    if (call->text == NULL) return reset_stream(stream);
    memcpy(call->text, text + head, call->text_size);
    call->text[call->text_size] = 0;
  }
  stream->is_pending = 1;
  call->streams[fd] = (int)(stream - streams);
  call->there |= 1u << fd;
  if (call->wanted != 0 && call->wanted == call->there) start_call(call);
}

static void take_frame(int port, uint32_t id, unsigned kind, unsigned char *payload, size_t size) {
  if (kind == OPEN) return open_from_host(port, id, (char *)payload, size);
  struct stream *stream = find_stream(port, id);
  if (stream == NULL) return;
  if (kind == RESET) return free_stream(stream);
  if (kind == CREDIT && size == 4) {
    uint32_t taken;
    memcpy(&taken, payload, sizeof taken);
    stream->credit += taken;
    return;
  }
  if (kind == END) stream->has_got_end = 1;
  if (kind == DATA) {
    if (stream->size + size > WINDOW) return reset_stream(stream);
    for (size_t at = 0; at < size; at++) stream->bytes[(stream->start + stream->size + at) % WINDOW] = payload[at];
    stream->size += size;
  }
  write_stream(stream);
}

static void read_port(int at) {
  struct port *port = &ports[at];
  ssize_t got = read(port->fd, port->in + port->in_size, sizeof port->in - port->in_size - 1);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) end_machine("the host has gone");
  port->in_size += (size_t)got;
  size_t from = 0;
  while (port->in_size - from >= HEADER) {
    uint32_t head[2];
    memcpy(head, port->in + from, HEADER);
    size_t size = head[1] >> 8;
    if (size >= MOST_PAYLOAD) end_machine("a frame that is too long");
    if (port->in_size - from < HEADER + size) break;
    unsigned char next = port->in[from + HEADER + size];
    take_frame(at, head[0], head[1] & 0xff, port->in + from + HEADER, size);
    port->in[from + HEADER + size] = next;
    from += HEADER + size;
  }
  memmove(port->in, port->in + from, port->in_size - from);
  port->in_size -= from;
}

static void write_port(struct port *port) {
  while (port->out_size > 0) {
    size_t part = port->out_size < OUT - port->out_from ? port->out_size : OUT - port->out_from;
    ssize_t done = write(port->fd, port->out + port->out_from, part < CHUNK ? part : CHUNK);
    if (done < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (done <= 0) end_machine("the host takes nothing");
    port->out_from = (port->out_from + (size_t)done) % OUT;
    port->out_size -= (size_t)done;
  }
}

static void accept_at(int at) {
  int fd = accept4(ports[at].listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  struct stream *stream = add_stream(at, ++ports[at].next);
  if (stream == NULL) {
    close(fd);
    return;
  }
  stream->from = stream->to = fd;
  send_frame(at, stream->id, OPEN, NULL, 0);
}

static void listen_at(int at, const char *mode) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/sockets/%d.sock", at);
  ports[at].listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (bind(ports[at].listener, (struct sockaddr *)&address, sizeof address) || listen(ports[at].listener, 4096))
    end_machine(address.sun_path);
  chmod(address.sun_path, (mode_t)strtoul(mode, NULL, 8));
}

/* The first number is the device's among all of virtio, in an order that the kernel chooses. */
static int find_port(int at) {
  char path[32];
  for (int device = 0; device < 8; device++) {
    snprintf(path, sizeof path, "/dev/vport%dp%d", device, at + 1);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) return fd;
  }
  return -1;
}

static void open_port(int at) {
  ports[at].fd = find_port(at);
  for (int turn = 0; ports[at].fd < 0 && turn < 600; turn++) {
    usleep(50000);
    ports[at].fd = find_port(at);
  }
  ports[at].listener = -1;
  ports[at].out = malloc(OUT);
  if (ports[at].fd < 0 || ports[at].out == NULL) end_machine("no port");
}

static void turn(void) {
  static struct pollfd ends[PORTS * 2 + STREAMS * 2];
  static int whose[PORTS * 2 + STREAMS * 2];
  int count = 0;
  for (int at = 0; at < port_count; at++) {
    ends[count] = (struct pollfd){ports[at].fd, (short)(POLLIN | (ports[at].out_size > 0 ? POLLOUT : 0)), 0};
    whose[count++] = at;
    ends[count] = (struct pollfd){ports[at].out_size < OUT / 2 ? ports[at].listener : -1, POLLIN, 0};
    whose[count++] = at;
  }
  int first = count;
  for (int at = 0; at < STREAMS; at++) {
    struct stream *stream = &streams[at];
    if (!stream->used || stream->is_pending) continue;
    int reads = stream->from >= 0 && !stream->has_sent_end && stream->credit > 0 && ports[stream->port].out_size < OUT / 2;
    if (reads) {
      ends[count] = (struct pollfd){stream->from, POLLIN, 0};
      whose[count++] = at;
    }
    if (stream->to >= 0 && (stream->size > 0 || stream->to != stream->from)) {
      ends[count] = (struct pollfd){stream->to, (short)(stream->size > 0 ? POLLOUT : 0), 0};
      whose[count++] = at + STREAMS;
    }
  }
  if (poll(ends, (nfds_t)count, -1) < 0) return;
  for (int at = first; at < count; at++) {
    struct stream *stream = &streams[whose[at] % STREAMS];
    if (ends[at].revents == 0 || !stream->used) continue;
    if (whose[at] < STREAMS && stream->from == ends[at].fd) read_stream(stream);
    else if (whose[at] >= STREAMS && stream->to == ends[at].fd) {
      /* Nobody reads what is written there any more. */
      if (ends[at].revents & POLLERR) reset_stream(stream);
      else write_stream(stream);
    }
  }
  for (int at = 0; at < first; at += 2) {
    if (ends[at].revents & POLLHUP) end_machine("the host has gone");
    if (ends[at].revents & POLLOUT) write_port(&ports[whose[at]]);
    if (ends[at].revents & POLLIN) read_port(whose[at]);
    if (ends[at + 1].revents) accept_at(whose[at]);
  }
}

/* An argument for each socket: the mode it has. */
int main(int count, char **modes) {
  signal(SIGPIPE, SIG_IGN);
  /* What is orphaned is reaped by the kernel. */
  signal(SIGCHLD, SIG_IGN);
  port_count = count < PORTS ? count : PORTS;
  for (int at = 0; at < port_count; at++) {
    open_port(at);
    if (at > 0) listen_at(at, modes[at]);
  }
  for (;;) turn();
}
