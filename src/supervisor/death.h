/*
 * What is made of a death that nobody asked for: what it was, an incident, and suspicion against
 * the tokens that were in hand. One incident tells of all deaths of a process until one is ready.
 */
#ifndef MOONWATCH_SUPERVISOR_DEATH_H
#define MOONWATCH_SUPERVISOR_DEATH_H

#include "base/time.h"

struct supervisor;
struct ward;

/* Before the next process begins, which writes over the page. `ward->death` says what is known. */
void death_note(struct supervisor *supervisor, struct ward *ward, instant now);
/* What can wait until the next process has begun. */
void death_keep(struct supervisor *supervisor, const struct ward *ward);
/* The next one is ready. */
void death_healed(struct supervisor *supervisor, struct ward *ward, instant now);
/* There will be no next one. */
void death_unhealed(struct supervisor *supervisor, struct ward *ward, const char *why);

#endif
