/* Netlink messages: writing them, and hearing of each whether the kernel took it. */
#include "netlink-message.h"

#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_SECONDS = 5, ANSWERS = 512 };

void *message_room(struct message *message, size_t size) {
  size_t aligned = NLMSG_ALIGN(size);
  if (aligned > sizeof message->bytes - message->length) {
    complain("a netlink message is longer than its buffer");
    exit(EXIT_FAILED);
  }
  void *room = message->bytes + message->length;
  memset(room, 0, aligned);
  message->length += aligned;
  return room;
}

void message_begin(struct message *message, uint16_t type, uint16_t flags) {
  message->start = message->length;
  struct nlmsghdr *head = message_room(message, sizeof *head);
  head->nlmsg_type = type;
  head->nlmsg_flags = NLM_F_REQUEST | flags;
  head->nlmsg_seq = ++message->sequence;
}

void message_end(struct message *message) {
  struct nlmsghdr *head = (void *)(message->bytes + message->start);
  head->nlmsg_len = (uint32_t)(message->length - message->start);
}

void message_attribute(struct message *message, uint16_t type, const void *bytes, size_t size) {
  struct nlattr *attribute = message_room(message, sizeof *attribute + size);
  attribute->nla_type = type;
  attribute->nla_len = (uint16_t)(sizeof *attribute + size);
  if (size > 0) memcpy(attribute + 1, bytes, size);
}

void message_text(struct message *message, uint16_t type, const char *text) {
  message_attribute(message, type, text, strlen(text) + 1);
}

void message_number(struct message *message, uint16_t type, uint32_t value) {
  uint32_t big = htonl(value);
  message_attribute(message, type, &big, sizeof big);
}

size_t message_nest(struct message *message, uint16_t type) {
  size_t nest = message->length;
  message_attribute(message, type | NLA_F_NESTED, NULL, 0);
  return nest;
}

void message_nest_end(struct message *message, size_t nest) {
  struct nlattr *attribute = (void *)(message->bytes + nest);
  attribute->nla_len = (uint16_t)(message->length - nest);
}

/* The messages that the kernel was asked to answer. */
static unsigned asked(const struct message *message) {
  unsigned count = 0;
  for (size_t at = 0; at < message->length;) {
    const struct nlmsghdr *head = (const void *)(message->bytes + at);
    if ((head->nlmsg_flags & NLM_F_ACK) != 0) count++;
    at += NLMSG_ALIGN(head->nlmsg_len);
  }
  return count;
}

/* What one datagram of the kernel says: how many messages it answers, and the first error. */
static unsigned answered(const uint8_t *bytes, size_t length, int *problem) {
  unsigned count = 0;
  for (size_t at = 0; length - at >= sizeof(struct nlmsghdr);) {
    const struct nlmsghdr *head = (const void *)(bytes + at);
    if (head->nlmsg_len < sizeof *head || head->nlmsg_len > length - at) break;
    if (head->nlmsg_type == NLMSG_ERROR && head->nlmsg_len >= sizeof *head + sizeof(struct nlmsgerr)) {
      const struct nlmsgerr *error = (const void *)(head + 1);
      if (error->error != 0 && *problem == 0) *problem = -error->error;
      count++;
    }
    size_t step = NLMSG_ALIGN(head->nlmsg_len);
    if (step > length - at) break;
    at += step;
  }
  return count;
}

int message_send(const struct message *message, int protocol) {
  static uint8_t reply[MESSAGE_BYTES] __attribute__((aligned(8)));
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  struct timeval limit = {.tv_sec = ANSWER_SECONDS};
  int problem = 0;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return errno;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (sendto(fd, message->bytes, message->length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) problem = errno;
  unsigned expected = asked(message);
  for (unsigned seen = 0, turn = 0; problem == 0 && seen < expected && turn < ANSWERS; turn++) {
    ssize_t length = recv(fd, reply, sizeof reply, 0);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) problem = errno;
    else seen += answered(reply, (size_t)length, &problem);
  }
  close(fd);
  return problem;
}
