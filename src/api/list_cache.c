/* See list_cache.h. */
#include "api/list_cache.h"

#include "api/answer.h"
#include "api/aside.h"
#include "api/http_loop.h"
#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX ASIDE_QUEUE_MAX /* as many as there are connections */

struct kept_list {
    struct list_key key;
    struct tagged made; /* NULLs: none yet */
    uint64_t version;   /* of the table, before it was made */
    instant begun_at;
    uint64_t used; /* the larger, the later */
    bool is_being_made;
};

/* A request's state: what it wants and, where it is the one that makes it, what was made. */
struct list_job {
    struct list_cache *cache;
    const struct token_table *table;
    struct list_key key;
    struct kept_list *place; /* NULL: somebody else makes it */
    struct tagged made;
    uint64_t version;
    instant begun_at;
};

struct waiting {
    struct request *request;
    struct kept_list *place;
};

struct list_cache {
    list_make *make;
    struct kept_list lists[LISTS_KEPT];
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;
    uint64_t uses;
};

static bool is_same(const struct list_key *a, const struct list_key *b)
{
    const struct pick_query *x = &a->pick, *y = &b->pick;
    bool is_same_order = x->min_score <= y->min_score && x->min_score >= y->min_score &&
                         x->sort == y->sort && x->offset == y->offset && x->limit == y->limit;
    return is_same_order && x->statuses == y->statuses && x->groups == y->groups &&
           a->packing == b->packing && strcmp(a->search, b->search) == 0;
}

void list_key_init(struct list_key *key, const struct pick_query *pick, const char *search,
                   enum packing packing)
{
    *key = (struct list_key){.pick = *pick, .packing = packing};
    snprintf(key->search, sizeof key->search, "%s", search);
}

/* Whether the table's version tells of all that the list is made of. */
static bool is_of_version(const struct list_key *key)
{
    return key->pick.groups == 0 && key->pick.sort != PICK_AGE_ASCENDING &&
           key->pick.sort != PICK_AGE_DESCENDING;
}

static bool reads_slots(const struct list_key *key)
{
    return key->search[0] != '\0' || key->pick.sort == PICK_LIQUIDITY_ASCENDING ||
           key->pick.sort == PICK_LIQUIDITY_DESCENDING;
}

static struct kept_list *find_list(struct list_cache *cache, const struct list_key *key)
{
    for (size_t i = 0; i < LISTS_KEPT; i++)
        if (cache->lists[i].key.pick.limit > 0 && is_same(&cache->lists[i].key, key))
            return &cache->lists[i];
    return NULL;
}

/* For a new list; NULL: all are being made. */
static struct kept_list *find_place(struct list_cache *cache, const struct list_key *key)
{
    struct kept_list *oldest = NULL;
    for (size_t i = 0; i < LISTS_KEPT; i++) {
        struct kept_list *list = &cache->lists[i];
        if (!list->is_being_made && (oldest == NULL || list->used < oldest->used))
            oldest = list;
    }
    if (oldest == NULL)
        return NULL;
    tagged_destroy(&oldest->made);
    oldest->key = *key;
    return oldest;
}

static bool is_good(const struct kept_list *list, const struct request *request)
{
    if (list->made.whole == NULL)
        return false;
    bool was_made_since = !instant_before(list->begun_at, request->began_at);
    return was_made_since || (is_of_version(&list->key) &&
                              list->version == token_table_version(request->api->world.table));
}

static void answer_kept_list(struct list_cache *cache, struct request *request,
                             struct kept_list *list)
{
    bool is_known = knows_tag(request, list->made.etag);
    list->used = ++cache->uses;
    answer_kept(request, is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK,
                is_known ? list->made.unchanged : list->made.whole);
}

/* ---- making one ---- */

/* By the thread aside. Without a list, as when that is being ended, nothing is made. */
static void make_list(void *state)
{
    struct list_job *job = state;
    struct json json = {0};
    job->version = token_table_version(job->table);
    job->begun_at = clock_now();
    if (job->cache->make(job->table, &job->key, &json))
        (void)tagged_make(&job->made, &json, job->key.packing);
    json_finish(&json);
}

static void keep(struct list_job *job, struct kept_list *place)
{
    if (job->made.whole == NULL)
        return;
    tagged_destroy(&place->made);
    place->made = job->made;
    place->version = job->version;
    place->begun_at = job->begun_at;
    job->made = (struct tagged){0};
}

/* What was made is kept, and who waits for it looks again. */
static void settle(struct list_job *job, struct http_loop *loop)
{
    struct list_cache *cache = job->cache;
    struct kept_list *place = job->place;
    size_t left = 0;
    job->place = NULL;
    place->is_being_made = false;
    keep(job, place);
    for (size_t i = 0; i < cache->waiting_count; i++) {
        if (cache->waiting[i].place == place)
            http_loop_resume(loop, cache->waiting[i].request->connection);
        else
            cache->waiting[left++] = cache->waiting[i];
    }
    cache->waiting_count = left;
}

/* Also of one whose client has gone. */
static void job_free(struct request *request)
{
    struct list_job *job = request->state;
    if (job->place != NULL)
        settle(job, request->api->loop);
    tagged_destroy(&job->made);
    free(job);
}

static void finish_making(struct request *request)
{
    struct list_job *job = request->state;
    struct kept_list *place = job->place;
    bool was_made = job->made.whole != NULL;
    settle(job, request->api->loop);
    if (was_made)
        answer_kept_list(job->cache, request, place);
    else
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory, or shutting down");
}

static void look_again(struct request *request)
{
    struct list_job *job = request->state;
    list_cache_answer(job->cache, request, &job->key);
}

/* The request's own, made at its first wait. */
static struct list_job *job_of(struct list_cache *cache, struct request *request,
                               const struct list_key *key)
{
    if (request->state != NULL)
        return request->state;
    struct list_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->cache = cache;
    job->table = request->api->world.table;
    job->key = *key;
    request->state = job;
    request->state_free = job_free;
    return job;
}

static void wait_for(struct list_cache *cache, struct request *request, struct kept_list *place)
{
    cache->waiting[cache->waiting_count++] = (struct waiting){request, place};
    request->next = look_again;
    request->waits = true;
    MHD_suspend_connection(request->connection);
}

static void begin_making(struct request *request, struct list_job *job, struct kept_list *place)
{
    job->place = place;
    place->is_being_made = true;
    struct aside *aside = reads_slots(&job->key) ? request->api->searches : request->api->scans;
    aside_ask(aside, request, make_list, finish_making);
    if (!request->waits) /* it was refused */
        settle(job, request->api->loop);
}

/* Whether it takes no longer than to ask another thread to. */
static bool is_quick(const struct token_table *table, const struct list_key *key)
{
    return token_table_count(table) <= LIST_AT_ONCE_MAX && !reads_slots(key);
}

static void make_at_once(struct list_cache *cache, struct request *request, struct kept_list *place)
{
    struct list_job job = {.cache = cache, .table = request->api->world.table, .key = place->key};
    make_list(&job);
    if (job.made.whole == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    keep(&job, place);
    answer_kept_list(cache, request, place);
}

void list_cache_answer(struct list_cache *cache, struct request *request,
                       const struct list_key *key)
{
    struct kept_list *list = find_list(cache, key);
    if (list != NULL && is_good(list, request)) {
        answer_kept_list(cache, request, list);
        return;
    }
    bool is_free = list == NULL || !list->is_being_made;
    if (is_free && is_quick(request->api->world.table, key)) {
        list = list != NULL ? list : find_place(cache, key);
        if (list != NULL) {
            make_at_once(cache, request, list);
            return;
        }
    }
    struct list_job *job = job_of(cache, request, key);
    if (list == NULL)
        list = find_place(cache, key);
    if (job == NULL)
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
    else if (list == NULL || (list->is_being_made && cache->waiting_count == WAITING_MAX))
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many lists are asked for; try again");
    else if (list->is_being_made)
        wait_for(cache, request, list);
    else
        begin_making(request, job, list);
}

/* ---- its own life ---- */

struct list_cache *list_cache_create(list_make *make)
{
    struct list_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL)
        cache->make = make;
    return cache;
}

void list_cache_shut(struct list_cache *cache)
{
    for (size_t i = 0; cache != NULL && i < cache->waiting_count; i++)
        MHD_resume_connection(cache->waiting[i].request->connection);
    if (cache != NULL)
        cache->waiting_count = 0;
}

void list_cache_destroy(struct list_cache *cache)
{
    for (size_t i = 0; cache != NULL && i < LISTS_KEPT; i++)
        tagged_destroy(&cache->lists[i].made);
    free(cache);
}
