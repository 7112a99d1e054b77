/*
 * Questions by UDP: each is framed as over TCP and asked on a connection of its own to the host's resolver; the
 * answer goes back from the address that was asked. What the host does not answer in time is dropped: the guest's
 * resolver asks again.
 */
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DNS_LISTENERS = 2, QUESTIONS_A_TURN = 64, DNS_HEAD = 12 };

struct query {
  struct source source; /* first: the loop's pointer to it is a pointer to the query */
  int listener;
  struct place from;
  struct place to;
  int64_t deadline;
  uint8_t message[HEADER_BYTES + 2 + QUERY_BYTES];
  uint16_t length;
  uint8_t id[2];
  bool used;
};

static struct query queries[QUERIES];
static unsigned most_queries;
static unsigned used_queries;
static struct source listeners[DNS_LISTENERS];
static unsigned listener_count;
static uint8_t packet[ANSWER_BYTES];

void dns_open(unsigned most) { most_queries = most < QUERIES ? most : QUERIES; }

static void forget(struct query *it) {
  if (it->source.fd >= 0) close(it->source.fd);
  it->source.fd = -1;
  it->used = false;
  used_queries--;
}

/* Sends one datagram from the address that was asked: a client takes an answer from no other. */
static void answer(const struct query *it, const uint8_t *bytes, size_t length) {
  struct sockaddr_storage address;
  struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
  union {
    struct cmsghdr head;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
  } control = {0};
  struct msghdr message = {
      .msg_name = &address,
      .msg_namelen = address_of(&it->from, &address),
      .msg_iov = &part,
      .msg_iovlen = 1,
      .msg_control = &control,
  };
  if (it->to.six) {
    struct in6_pktinfo info = {0};
    memcpy(&info.ipi6_addr, it->to.address, 16);
    message.msg_controllen = CMSG_SPACE(sizeof info);
    control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO};
    memcpy(CMSG_DATA(&control.head), &info, sizeof info);
  } else {
    struct in_pktinfo info = {0};
    memcpy(&info.ipi_spec_dst, it->to.address, 4);
    message.msg_controllen = CMSG_SPACE(sizeof info);
    control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
    memcpy(CMSG_DATA(&control.head), &info, sizeof info);
  }
  sendmsg(it->listener, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The answer stays in the kernel until all of it is there; waiting edge-triggered, a part of it wakes nobody twice. */
static void answer_ready(struct source *source, uint32_t events) {
  (void)events;
  struct query *it = (struct query *)source;
  ssize_t seen = recv(source->fd, packet, sizeof packet, MSG_PEEK | MSG_DONTWAIT);
  if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (seen <= 0) return forget(it);
  size_t length = seen < 2 ? sizeof packet : (size_t)packet[0] << 8 | packet[1];
  if ((size_t)seen < 2 + length) {
    /* Of an answer that ends too early there is no more to come. */
    if ((events & EPOLLRDHUP) != 0) forget(it);
    return;
  }
  if (length >= DNS_HEAD && memcmp(packet + 2, it->id, 2) == 0) answer(it, packet + 2, length);
  forget(it);
}

/* False where there is no use in another try. */
static bool ask(struct query *it) {
  int fd = connect_host(DNS_SOCKET);
  if (fd < 0) return errno == EAGAIN;
  it->source = (struct source){.ready = answer_ready, .fd = fd};
  return send(fd, it->message, it->length, MSG_NOSIGNAL | MSG_DONTWAIT) == it->length &&
         loop_add(&it->source, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

static void question(int listener, const struct place *from, const struct place *to, size_t length) {
  struct query *it = NULL;
  if (used_queries < most_queries)
    for (unsigned at = 0; at < most_queries && it == NULL; at++)
      if (!queries[at].used) it = &queries[at];
  if (it == NULL) return;
  *it = (struct query){.source.fd = -1, .listener = listener, .from = *from, .to = *to, .used = true};
  used_queries++;
  it->deadline = now_ms() + QUERY_MS;
  memcpy(it->id, packet, 2);
  size_t at = encode_header(it->message, true, from, to);
  it->message[at++] = (uint8_t)(length >> 8);
  it->message[at++] = (uint8_t)length;
  memcpy(it->message + at, packet, length);
  it->length = (uint16_t)(at + length);
  if (!ask(it)) forget(it);
}

/* Where a datagram was sent to; false where the kernel does not say. */
static bool destination(struct msghdr *message, struct place *to) {
  for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(at), sizeof info);
      *to = (struct place){.port = DNS_PORT};
      memcpy(to->address, &info.ipi_addr, 4);
      return true;
    }
    if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(at), sizeof info);
      *to = (struct place){.six = true, .port = DNS_PORT};
      memcpy(to->address, &info.ipi6_addr, 16);
      return true;
    }
  }
  return false;
}

static void question_ready(struct source *source, uint32_t events) {
  (void)events;
  for (int turn = 0; turn < QUESTIONS_A_TURN; turn++) {
    struct sockaddr_storage sender;
    union {
      struct cmsghdr head;
      uint8_t bytes[256];
    } control;
    struct iovec part = {.iov_base = packet, .iov_len = sizeof packet};
    struct msghdr message = {
        .msg_name = &sender,
        .msg_namelen = sizeof sender,
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    ssize_t length = recvmsg(source->fd, &message, MSG_DONTWAIT);
    if (length < 0) return;
    struct place from = place_of(&sender);
    struct place to;
    if (length < DNS_HEAD || length > QUERY_BYTES || !destination(&message, &to)) continue;
    question(source->fd, &from, &to, (size_t)length);
  }
}

bool dns_listen(const struct place *place) {
  if (listener_count == DNS_LISTENERS) return false;
  int on = 1;
  int fd = socket(place->six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  struct sockaddr_storage address;
  socklen_t length = address_of(place, &address);
  if (place->six) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  } else {
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  }
  struct source *source = &listeners[listener_count];
  *source = (struct source){.ready = question_ready, .fd = fd};
  if (bind(fd, (struct sockaddr *)&address, length) != 0 || !loop_add(source, EPOLLIN)) {
    close(fd);
    return false;
  }
  listener_count++;
  return true;
}

int dns_tick(int64_t now) {
  int next = -1;
  for (unsigned at = 0; at < most_queries && used_queries > 0; at++) {
    struct query *it = &queries[at];
    if (!it->used) continue;
    if (now >= it->deadline || (it->source.fd < 0 && !ask(it))) {
      forget(it);
      continue;
    }
    int wait = it->source.fd < 0 ? RETRY_MS : (int)(it->deadline - now);
    if (next < 0 || wait < next) next = wait;
  }
  return next;
}
