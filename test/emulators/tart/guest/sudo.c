/*
 * The `sudo` of an emulated guest, where everybody may become anybody without a password, as the user `admin` of the public
 * images. Takes the options that scripts use; it looks the program up as the guest's system does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *SECURE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static int find_user(const char *name, struct passwd *found) {
  FILE *file = fopen("/etc/passwd", "r");
  struct passwd *line;
  while (file != NULL && (line = fgetpwent(file)) != NULL) {
    if (strcmp(line->pw_name, name) != 0) continue;
    *found = *line;
    return 1;
  }
  return 0;
}

static const char *name_of(uid_t uid) {
  FILE *file = fopen("/etc/passwd", "r");
  struct passwd *line;
  while (file != NULL && (line = fgetpwent(file)) != NULL) if (line->pw_uid == uid) return strdup(line->pw_name);
  return "unknown";
}

int main(int count, char **words) {
  const char *user = "root";
  const char *invoker = name_of(getuid());
  int at = 1, keeps = 0, is_mac = access("/.emulator/darwin", F_OK) == 0;
  for (; at < count && words[at][0] == '-'; at++) {
    if (strcmp(words[at], "--") == 0) { at++; break; }
    for (char *letter = words[at] + 1; *letter; letter++) {
      if (strchr("nHSkKA", *letter) != NULL) continue;
      if (*letter == 'v') return 0;
      if (*letter == 'E') { keeps = 1; continue; }
      if (*letter == 'u') {
        user = letter[1] ? letter + 1 : ++at < count ? words[at] : "";
        break;
      }
      fprintf(stderr, "sudo: not emulated: -%c\n", *letter);
      return 1;
    }
  }
  struct passwd target;
  if (!find_user(user, &target)) return fprintf(stderr, "sudo: unknown user %s\n", user), 1;
  char *home = strdup(target.pw_dir), *name = strdup(target.pw_name);
  const char *path = getenv("PATH"), *term = getenv("TERM"), *kept_home = getenv("HOME"), *lang = getenv("LANG");
  /* macOS's sudoers keeps HOME and has no path of its own. */
  path = is_mac && path != NULL ? path : SECURE_PATH;
  if (!keeps) {
    clearenv();
    setenv("HOME", is_mac && kept_home != NULL ? kept_home : home, 1);
    if (term != NULL) setenv("TERM", term, 1);
    if (lang != NULL) setenv("LANG", lang, 1);
    setenv("SHELL", "/bin/sh", 1);
  }
  setenv("PATH", path, 1);
  setenv("USER", name, 1);
  setenv("LOGNAME", name, 1);
  setenv("SUDO_USER", invoker, 1);
  for (; at < count && strchr(words[at], '=') != NULL; at++) putenv(words[at]);
  if (at >= count) return fprintf(stderr, "usage: sudo [-n] [-u user] [VAR=value] command\n"), 1;
  gid_t groups[1] = {target.pw_gid};
  if (setgroups(1, groups) || setgid(target.pw_gid) || setuid(target.pw_uid)) {
    fprintf(stderr, "sudo: cannot become %s: %s\n", user, strerror(errno));
    return 1;
  }
  execvp(words[at], words + at);
  if (errno == ENOENT) fprintf(stderr, "sudo: %s: command not found\n", words[at]);
  else fprintf(stderr, "sudo: unable to execute %s: %s\n", words[at], strerror(errno));
  return 1;
}
