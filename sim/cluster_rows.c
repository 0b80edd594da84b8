/* See cluster_rows.h. */
#include "sim/cluster_rows.h"

#include <string.h>

static struct cluster_member *find(struct cluster_rows *rows, uint64_t session)
{
    for (uint32_t i = 0; i < rows->view.member_count; i++)
        if (rows->view.members[i].session == session)
            return &rows->view.members[i];
    return NULL;
}

static void end(struct cluster_rows *rows, uint64_t session)
{
    struct cluster_member *member = find(rows, session);
    if (member == NULL)
        return;
    size_t at = (size_t)(member - rows->view.members);
    size_t after = --rows->view.member_count - at;
    memmove(member, member + 1, after * sizeof *member);
    memmove(&rows->nonces[at], &rows->nonces[at + 1], after * sizeof rows->nonces[0]);
    memmove(&rows->numbers[at], &rows->numbers[at + 1], after * sizeof rows->numbers[0]);
    rows->changes++;
}

/* The session of this start of a node; 0: there is no room. */
static uint64_t join(struct cluster_rows *rows, const struct cluster_request *request)
{
    end(rows, request->replaces);
    for (uint32_t i = 0; i < rows->view.member_count; i++)
        if (rows->nonces[i] == request->nonce)
            return rows->view.members[i].session;
    if (rows->view.member_count == CLUSTER_NODES_MAX)
        return 0;
    uint32_t at = rows->view.member_count++;
    rows->nonces[at] = request->nonce;
    rows->numbers[at] = request->number;
    rows->view.members[at] = (struct cluster_member){.session = ++rows->last_session,
                                                     .capacity = request->capacity,
                                                     .is_leaving = request->is_leaving};
    rows->changes++;
    return rows->last_session;
}

static void renew(struct cluster_rows *rows, const struct cluster_request *request)
{
    struct cluster_member *member = find(rows, request->session);
    if (member == NULL || !request->is_renewal)
        return;
    rows->changes +=
        member->capacity != request->capacity || member->is_leaving != request->is_leaving;
    member->renewals++;
    member->capacity = request->capacity;
    member->is_leaving = request->is_leaving;
}

static void release(struct cluster_rows *rows, const struct cluster_request *request)
{
    for (uint32_t i = 0; i < request->release_count; i++) {
        struct cluster_lease *lease = &rows->view.leases[request->releases[i].lease];
        if (lease->session != request->session ||
            lease->generation != request->releases[i].generation)
            continue;
        lease->session = 0;
        rows->changes++;
    }
}

static void claim(struct cluster_rows *rows, const struct cluster_request *request)
{
    if (find(rows, request->session) == NULL)
        return;
    for (uint32_t i = 0; i < request->claim_count; i++) {
        struct cluster_lease *lease = &rows->view.leases[request->claims[i].lease];
        if (find(rows, lease->session) != NULL ||
            lease->generation != request->claims[i].generation)
            continue;
        lease->session = request->session;
        lease->generation++;
        rows->changes++;
    }
}

/* One of a session that was ended; or that was given up, and comes after a newer one. */
static bool is_stale(struct cluster_rows *rows, const struct cluster_request *request)
{
    const struct cluster_member *member = find(rows, request->session);
    if (member == NULL)
        return true;
    uint64_t *newest = &rows->numbers[member - rows->view.members];
    if (request->number <= *newest)
        return true;
    *newest = request->number;
    return false;
}

static void change(struct cluster_rows *rows, const struct cluster_request *request)
{
    renew(rows, request);
    for (uint32_t i = 0; i < request->end_count; i++) {
        const struct cluster_member *member = find(rows, request->ends[i].session);
        if (member != NULL && member->renewals == request->ends[i].renewals)
            end(rows, request->ends[i].session);
    }
    release(rows, request);
    claim(rows, request);
    if (request->is_last)
        end(rows, request->session);
}

void cluster_rows_exchange(struct cluster_rows *rows, const struct cluster_request *request,
                           struct cluster_reply *out)
{
    uint64_t session = request->session;
    if (session == 0)
        session = join(rows, request);
    if (!is_stale(rows, request))
        change(rows, request);
    out->number = request->number;
    out->outcome = session == 0 ? CLUSTER_FULL : CLUSTER_DONE;
    out->session = session;
    out->view = rows->view;
}

bool cluster_rows_let_in(const struct cluster_rows *rows, uint16_t lease, uint64_t generation)
{
    return rows->view.leases[lease].generation == generation;
}
