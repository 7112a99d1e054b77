/* The attempts of `probe` that look around: connections, questions, and what the guest is made of. */
#include "relay.h"
#include <stdio.h>
bool attempt(char *line, char *answer, size_t size) { (void)line;(void)answer;(void)size; return false; }
