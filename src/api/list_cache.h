/*
 * Lists of tokens that were made a moment ago, for who asks for the same: while the table's version
 * stays, a list is still as it would be made now. Of a small table (LIST_AT_ONCE_MAX) it is made at
 * once, in some tenths of a millisecond. Of a larger one by the thread aside, one at a time;
 * whoever wants one that is being made waits for it, and takes it when it was begun after he asked,
 * or nothing has changed since. So many clients cost little more than one.
 *
 * LISTS_KEPT lists are kept, the one that was not asked for longest goes. Lists whose order or
 * choice depends on what changes without the version (groups, ages) are made for each request.
 *
 * All of it is the HTTP thread's, but the making aside.
 */
#ifndef MOONWATCH_API_LIST_CACHE_H
#define MOONWATCH_API_LIST_CACHE_H

#include "api/pick.h"
#include "api/request.h"
#include "api/tagged.h"
#include "base/json.h"

#define LISTS_KEPT       16
#define LIST_AT_ONCE_MAX 20000 /* tokens; their columns are scanned in 30 µs */
#define LIST_SEARCH_SIZE 64

/* What is asked for. */
struct list_key {
    struct pick_query pick; /* search and now are not used */
    char search[LIST_SEARCH_SIZE];
    enum packing packing;
};

void list_key_init(struct list_key *key, const struct pick_query *pick, const char *search,
                   enum packing packing);

struct list_cache;

/* Writes the list; runs aside. False: no memory. */
typedef bool list_make(const struct token_table *table, const struct list_key *key,
                       struct json *json);
list_make token_list_make; /* resource_token_list.c */

/* NULL: out of memory. */
struct list_cache *list_cache_create(list_make *make);
/* Resumes who waits still; with the HTTP thread ended, and the thread aside. */
void list_cache_shut(struct list_cache *cache);
void list_cache_destroy(struct list_cache *cache);

/* Answers with the list of this key. */
void list_cache_answer(struct list_cache *cache, struct request *request,
                       const struct list_key *key);

#endif
