#include "cluster/view.h"

const struct cluster_member *cluster_view_member(const struct cluster_view *view, uint64_t session)
{
    for (uint32_t i = 0; i < view->member_count; i++)
        if (view->members[i].session == session)
            return &view->members[i];
    return NULL;
}

bool cluster_view_is_free(const struct cluster_view *view, uint16_t lease)
{
    uint64_t session = view->leases[lease].session;
    return session == 0 || cluster_view_member(view, session) == NULL;
}
