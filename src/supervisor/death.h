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
/* Writes down whom deaths have made suspects, and whom the engine has cleared or released since.
 * Right after a death's next process has begun, and once a second: what could not be written is
 * tried again for as long as it takes. */
void death_keep_suspects(struct supervisor *supervisor);
/* The next one is ready. */
void death_healed(struct supervisor *supervisor, struct ward *ward, instant now);
/* There will be no next one. */
void death_unhealed(struct supervisor *supervisor, struct ward *ward, const char *why);

#endif
