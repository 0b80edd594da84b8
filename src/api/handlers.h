/* The handlers that routes.def names, each in its resource_*.c. */
#ifndef MOONWATCH_API_HANDLERS_H
#define MOONWATCH_API_HANDLERS_H

#include "api/request.h"

#define ROUTE(method, pattern, access, body, handler, sentence) request_step handler;
#include "api/routes.def"
#undef ROUTE

#endif
