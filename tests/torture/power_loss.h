/*
 * What a power cut leaves of a film (power_disk.h) that was cut at some point.
 *
 * What was synced is there. Of what was written since, each write may be there, not there, or torn
 * between two sectors, in any order; a truncation may be there or not; where a file was to grow and
 * its bytes did not come, there are zeros or anything. Files made, renamed and deleted since their
 * folder was synced are there or not, in the order in which that was done, as file systems with a
 * journal do it; syncing a file does not sync its name.
 */
#ifndef MOONWATCH_TESTS_TORTURE_POWER_LOSS_H
#define MOONWATCH_TESTS_TORTURE_POWER_LOSS_H

#include "base/prng.h"
#include "power_disk.h"

enum power_outcome {
    POWER_KEPT, /* all of it is there: as when only the process died */
    POWER_LOST, /* nothing that was not synced is there */
    POWER_TORN  /* drawn */
};

struct power_loss;

struct power_loss *power_loss_create(const struct power_film *film);
void power_loss_destroy(struct power_loss *loss);
/* Goes on to the cut before operation `op`; never back. */
void power_loss_advance(struct power_loss *loss, size_t op);
/* Whether anything is not synced there: else all outcomes are the same. */
bool power_loss_is_open(const struct power_loss *loss);
/* Empties the folder and puts there what is left. */
void power_loss_leave(const struct power_loss *loss, enum power_outcome outcome, struct prng *prng,
                      const char *folder);

#endif
