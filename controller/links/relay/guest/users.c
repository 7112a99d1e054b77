/*
 * Who a command runs as, by the guest's own passwd and group files: read as files, since a static program has no part
 * in what the image's C library would ask.
 */
#include "relay.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The last is the kernel's "leave it as it is". */
#define MOST_ID 4294967294UL

enum { PASSWD_FIELDS = 7, GROUP_FIELDS = 4 };

static char text[USERS_BYTES + 1];

/* Empty where the file is none, or longer than one should be. */
static void load(const char *path) {
  struct stat state;
  size_t length = 0;
  text[0] = '\0';
  /* An image can put a FIFO there, and opening one waits. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return;
  if (fstat(fd, &state) == 0 && S_ISREG(state.st_mode) && state.st_size <= USERS_BYTES) {
    ssize_t got;
    while (length < USERS_BYTES && (got = read(fd, text + length, USERS_BYTES - length)) > 0) length += (size_t)got;
  }
  text[length] = '\0';
  close(fd);
}

/* Splits the next line of `*at` at colons, in place; lines of another number of fields are passed over. */
static bool next_entry(char **at, char **fields, int wanted) {
  while (*at != NULL && **at != '\0') {
    char *line = *at;
    char *end = strchr(line, '\n');
    int count = 0;
    *at = end == NULL ? NULL : end + 1;
    if (end != NULL) *end = '\0';
    for (char *field = line; field != NULL && count < wanted; count++) {
      fields[count] = field;
      field = strchr(field, ':');
      if (field != NULL) *field++ = '\0';
    }
    if (count == wanted) return true;
  }
  return false;
}

static bool copy(char *to, size_t size, const char *from) {
  if (strlen(from) >= size) return false;
  strcpy(to, from);
  return true;
}

/* Fills in what passwd says of a name, or of a number where the name is NULL. */
static bool look_up_user(const char *name, unsigned long number, struct user *user) {
  char *fields[PASSWD_FIELDS];
  load("/etc/passwd");
  for (char *at = text; next_entry(&at, fields, PASSWD_FIELDS);) {
    unsigned long uid;
    unsigned long gid;
    if (!parse_number(fields[2], MOST_ID, &uid) || !parse_number(fields[3], MOST_ID, &gid)) continue;
    if (name == NULL ? uid != number : strcmp(fields[0], name) != 0) continue;
    user->uid = (uid_t)uid;
    user->gid = (gid_t)gid;
    if (!copy(user->name, sizeof user->name, fields[0])) user->name[0] = '\0';
    if (fields[5][0] != '/' || !copy(user->home, sizeof user->home, fields[5])) strcpy(user->home, "/");
    return true;
  }
  return false;
}

static bool lists(char *members, const char *name) {
  for (char *at = members; at != NULL;) {
    char *end = strchr(at, ',');
    if (end != NULL) *end++ = '\0';
    if (strcmp(at, name) == 0) return true;
    at = end;
  }
  return false;
}

static bool look_up_group(const char *name, gid_t *found) {
  char *fields[GROUP_FIELDS];
  unsigned long gid;
  if (parse_number(name, MOST_ID, &gid)) {
    *found = (gid_t)gid;
    return true;
  }
  load("/etc/group");
  for (char *at = text; next_entry(&at, fields, GROUP_FIELDS);) {
    if (strcmp(fields[0], name) != 0 || !parse_number(fields[2], MOST_ID, &gid)) continue;
    *found = (gid_t)gid;
    return true;
  }
  return false;
}

static void add_groups_of(const char *name, struct user *user) {
  char *fields[GROUP_FIELDS];
  load("/etc/group");
  for (char *at = text; user->groups < GROUPS && next_entry(&at, fields, GROUP_FIELDS);) {
    unsigned long gid;
    if (parse_number(fields[2], MOST_ID, &gid) && lists(fields[3], name)) user->group[user->groups++] = (gid_t)gid;
  }
}

bool find_user(const char *wanted, struct user *user) {
  char name[256];
  unsigned long uid;
  memset(user, 0, sizeof *user);
  strcpy(user->home, "/");
  if (!copy(name, sizeof name, wanted[0] == '\0' ? "0" : wanted)) {
    complain("the name of the user is too long");
    return false;
  }
  char *group = strchr(name, ':');
  if (group != NULL) *group++ = '\0';
  if (parse_number(name, MOST_ID, &uid)) {
    /* A number needs no entry. */
    if (!look_up_user(NULL, uid, user)) user->uid = (uid_t)uid;
  } else if (look_up_user(name, 0, user)) {
    if (group == NULL) add_groups_of(name, user);
  } else {
    complain("the guest has no user %s", name);
    return false;
  }
  if (group == NULL || look_up_group(group, &user->gid)) return true;
  complain("the guest has no group %s", group);
  return false;
}
