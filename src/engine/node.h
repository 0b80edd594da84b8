/*
 * The engine as one of several nodes that share a database's tokens: carries out what
 * cluster/cluster.h decides. docs/cluster.md tells the whole.
 *
 *     cluster_step() ──actions──▶ node.c ──▶ link    exchanges, orders     (store/cluster_link.h)
 *                                       ──▶ writer   generations to write under
 *                                       ──▶ core     which slots to work on (EVENT_SHARE)
 *     link ──▶ node.c ──▶ core   what others committed (EVENT_FOLLOWED)
 *                     ──▶ cluster_step()   replies, notifications, how far the log is followed
 *
 * A slot is DRAINED when no request about it is under way and the writer has committed all that it
 * was told before. A lease time that is over stops the core before its next step, whatever else the
 * loop has to do: engine_node_look() comes first in each.
 */
#ifndef MOONWATCH_ENGINE_NODE_H
#define MOONWATCH_ENGINE_NODE_H

#include "core/core.h"
#include "page/command.h"

struct engine;
struct node;

/* Whether the options make this daemon one of several. */
bool engine_is_node(const struct engine *engine);

/* Before the first token is placed: nothing is this node's own yet. */
void engine_node_disown(struct engine *engine);

/* Once all tokens are in the table and the writer has begun. False: why not is in the log. */
bool engine_node_start(struct engine *engine);

/* Before each step of the core: is the lease time over, or an exchange due? */
void engine_node_look(struct engine *engine);

/* Whether a node's request may go out at this moment: while its lease time is not over. For feed
 * workers, in their threads: any of them may have slept with a request in its hand. */
bool engine_node_may_send(void *engine);
void engine_node_on_second(struct engine *engine);
void engine_node_on_flushed(void *engine, uint64_t tag);
/* A new token that will not be written: another node gives them their ids now. */
void engine_node_on_left_out(void *engine, token_id id, uint64_t tag);

/* A client's command that another node may have to carry out: what it wants is remembered until it
 * is answered, by this node's core or by what another node commits after engine_node_forward() told
 * all of it. False: it was refused. */
bool engine_node_expect(struct engine *engine, const struct command *command);
/* False: no such command waits. */
bool engine_node_forward(struct engine *engine, uint64_t tag);
void engine_node_answered(struct engine *engine, uint64_t tag);
/* What is for all nodes. */
void engine_node_tell_all(struct engine *engine, const struct command *command);

/* Nothing is worked on any more; engine_node_end(), when all is written, gives the leases back. */
void engine_node_begin_stop(struct engine *engine);
void engine_node_end(struct engine *engine);

#endif
