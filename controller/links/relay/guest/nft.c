/*
 * The nf_tables ruleset of redirect mode, as `nft` would write it:
 *
 *   table inet sand {
 *     set ports { type inet_service; }
 *     chain output {
 *       type nat hook output priority dstnat;
 *       ip daddr 127.0.0.0/8 return
 *       ip6 daddr ::1 return
 *       udp dport 53 redirect to :53
 *       tcp dport 53 redirect to :53
 *       tcp dport @ports redirect to :3129
 *     }
 *   }
 *
 * A guest's own server at a planted port does not collide with it, since nothing listens at that port here.
 */
#include "netlink-message.h"
#include "relay.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

static const char TABLE[] = "sand";
static const char CHAIN[] = "output";
static const char SET[] = "ports";
/* NF_IP_PRI_NAT_DST, and the type that `nft` shows for a set of ports. */
enum { PRIORITY_DSTNAT = -100, TYPE_INET_SERVICE = 13 };

static void begin(struct message *message, uint16_t kind, uint16_t flags) {
  message_begin(message, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | kind), NLM_F_ACK | flags);
  struct nfgenmsg *head = message_room(message, sizeof *head);
  head->nfgen_family = NFPROTO_INET;
  head->version = NFNETLINK_V0;
}

/* The kernel takes all that stands between the two, or nothing. */
static void batch(struct message *message, uint16_t kind) {
  message_begin(message, kind, 0);
  struct nfgenmsg *head = message_room(message, sizeof *head);
  head->version = NFNETLINK_V0;
  head->res_id = htons(NFNL_SUBSYS_NFTABLES);
  message_end(message);
}

static void add_table(struct message *message) {
  begin(message, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
  message_text(message, NFTA_TABLE_NAME, TABLE);
  message_end(message);
}

static void add_set(struct message *message) {
  begin(message, NFT_MSG_NEWSET, NLM_F_CREATE);
  message_text(message, NFTA_SET_TABLE, TABLE);
  message_text(message, NFTA_SET_NAME, SET);
  message_number(message, NFTA_SET_FLAGS, 0);
  message_number(message, NFTA_SET_KEY_TYPE, TYPE_INET_SERVICE);
  message_number(message, NFTA_SET_KEY_LEN, sizeof(uint16_t));
  message_number(message, NFTA_SET_ID, 1);
  message_end(message);
}

static void add_chain(struct message *message) {
  begin(message, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  message_text(message, NFTA_CHAIN_TABLE, TABLE);
  message_text(message, NFTA_CHAIN_NAME, CHAIN);
  message_text(message, NFTA_CHAIN_TYPE, "nat");
  size_t hook = message_nest(message, NFTA_CHAIN_HOOK);
  message_number(message, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
  message_number(message, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_DSTNAT);
  message_nest_end(message, hook);
  message_end(message);
}

struct expression {
  size_t element;
  size_t data;
};

static struct expression open_expression(struct message *message, const char *name) {
  struct expression it;
  it.element = message_nest(message, NFTA_LIST_ELEM);
  message_text(message, NFTA_EXPR_NAME, name);
  it.data = message_nest(message, NFTA_EXPR_DATA);
  return it;
}

static void close_expression(struct message *message, struct expression it) {
  message_nest_end(message, it.data);
  message_nest_end(message, it.element);
}

static void load_meta(struct message *message, uint32_t key) {
  struct expression it = open_expression(message, "meta");
  message_number(message, NFTA_META_KEY, key);
  message_number(message, NFTA_META_DREG, NFT_REG_1);
  close_expression(message, it);
}

static void load_payload(struct message *message, uint32_t base, uint32_t offset, uint32_t length) {
  struct expression it = open_expression(message, "payload");
  message_number(message, NFTA_PAYLOAD_DREG, NFT_REG_1);
  message_number(message, NFTA_PAYLOAD_BASE, base);
  message_number(message, NFTA_PAYLOAD_OFFSET, offset);
  message_number(message, NFTA_PAYLOAD_LEN, length);
  close_expression(message, it);
}

static void add_value(struct message *message, uint16_t type, const void *bytes, size_t size) {
  size_t data = message_nest(message, type);
  message_attribute(message, NFTA_DATA_VALUE, bytes, size);
  message_nest_end(message, data);
}

static void must_equal(struct message *message, const void *bytes, size_t size) {
  struct expression it = open_expression(message, "cmp");
  message_number(message, NFTA_CMP_SREG, NFT_REG_1);
  message_number(message, NFTA_CMP_OP, NFT_CMP_EQ);
  add_value(message, NFTA_CMP_DATA, bytes, size);
  close_expression(message, it);
}

static void must_be_in_set(struct message *message) {
  struct expression it = open_expression(message, "lookup");
  message_text(message, NFTA_LOOKUP_SET, SET);
  message_number(message, NFTA_LOOKUP_SREG, NFT_REG_1);
  message_number(message, NFTA_LOOKUP_SET_ID, 1);
  close_expression(message, it);
}

static void and_return(struct message *message) {
  struct expression it = open_expression(message, "immediate");
  message_number(message, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  size_t data = message_nest(message, NFTA_IMMEDIATE_DATA);
  size_t verdict = message_nest(message, NFTA_DATA_VERDICT);
  message_number(message, NFTA_VERDICT_CODE, (uint32_t)NFT_RETURN);
  message_nest_end(message, verdict);
  message_nest_end(message, data);
  close_expression(message, it);
}

static void and_redirect(struct message *message, uint16_t port) {
  uint16_t big = htons(port);
  struct expression value = open_expression(message, "immediate");
  message_number(message, NFTA_IMMEDIATE_DREG, NFT_REG_1);
  add_value(message, NFTA_IMMEDIATE_DATA, &big, sizeof big);
  close_expression(message, value);
  struct expression it = open_expression(message, "redir");
  message_number(message, NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1);
  close_expression(message, it);
}

static size_t begin_rule(struct message *message) {
  begin(message, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  message_text(message, NFTA_RULE_TABLE, TABLE);
  message_text(message, NFTA_RULE_CHAIN, CHAIN);
  return message_nest(message, NFTA_RULE_EXPRESSIONS);
}

static void end_rule(struct message *message, size_t list) {
  message_nest_end(message, list);
  message_end(message);
}

/* Where the destination stands in the header of each family, and how much of it makes it loopback. */
static void spare_loopback(struct message *message, bool six) {
  static const uint8_t one[16] = {[15] = 1};
  static const uint8_t net = 127;
  uint8_t family = six ? NFPROTO_IPV6 : NFPROTO_IPV4;
  size_t list = begin_rule(message);
  load_meta(message, NFT_META_NFPROTO);
  must_equal(message, &family, sizeof family);
  load_payload(message, NFT_PAYLOAD_NETWORK_HEADER, six ? 24 : 16, six ? sizeof one : sizeof net);
  must_equal(message, six ? one : &net, six ? sizeof one : sizeof net);
  and_return(message);
  end_rule(message, list);
}

/* Port 0 stands for the set. */
static void redirect_rule(struct message *message, uint8_t protocol, uint16_t from, uint16_t to) {
  uint16_t big = htons(from);
  size_t list = begin_rule(message);
  load_meta(message, NFT_META_L4PROTO);
  must_equal(message, &protocol, sizeof protocol);
  load_payload(message, NFT_PAYLOAD_TRANSPORT_HEADER, 2, sizeof big);
  if (from == 0) must_be_in_set(message);
  else must_equal(message, &big, sizeof big);
  and_redirect(message, to);
  end_rule(message, list);
}

int set_up_redirect(void) {
  static struct message message;
  message = (struct message){0};
  batch(&message, NFNL_MSG_BATCH_BEGIN);
  add_table(&message);
  add_set(&message);
  add_chain(&message);
  spare_loopback(&message, false);
  spare_loopback(&message, true);
  redirect_rule(&message, IPPROTO_UDP, DNS_PORT, DNS_PORT);
  redirect_rule(&message, IPPROTO_TCP, DNS_PORT, DNS_PORT);
  redirect_rule(&message, IPPROTO_TCP, 0, REDIRECT_PORT);
  batch(&message, NFNL_MSG_BATCH_END);
  return message_send(&message, NETLINK_NETFILTER);
}

int redirect_port(uint16_t port) {
  static struct message message;
  uint16_t big = htons(port);
  message = (struct message){0};
  batch(&message, NFNL_MSG_BATCH_BEGIN);
  begin(&message, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
  message_text(&message, NFTA_SET_ELEM_LIST_TABLE, TABLE);
  message_text(&message, NFTA_SET_ELEM_LIST_SET, SET);
  size_t list = message_nest(&message, NFTA_SET_ELEM_LIST_ELEMENTS);
  size_t element = message_nest(&message, NFTA_LIST_ELEM);
  add_value(&message, NFTA_SET_ELEM_KEY, &big, sizeof big);
  message_nest_end(&message, element);
  message_nest_end(&message, list);
  message_end(&message);
  batch(&message, NFNL_MSG_BATCH_END);
  return message_send(&message, NETLINK_NETFILTER);
}
