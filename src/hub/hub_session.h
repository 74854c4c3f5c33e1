/* hub_session.h - requests to the hub: its address, redirects followed within limits, the token sent to it and to nobody
 * else, broken transfers tried again, and what an answer that is no file means. Internal to hub/. */
#ifndef EFFNET_HUB_HUB_SESSION_H
#define EFFNET_HUB_HUB_SESSION_H

#include "hub/hub_cache.h"
#include "hub/hub_http.h"

typedef struct HubSession {
    HubName name;
    char endpoint[HTTP_URL / 4]; /* without a slash at the end */
    const char *token;           /* NULL: none */
    int timeout;
} HubSession;

/* The endpoint and the rest from the environment. */
effnet_status hub_session_begin(const HubName *name, HubSession *out, effnet_error *err);
/* HEAD of a file at a revision: size, checksum and commit in *answer. *absent (may be NULL: that is an error) where the
 * model has no such file. */
effnet_status hub_session_ask(const HubSession *session, const char *revision, const char *file, HttpAnswer *answer,
                              bool *absent, effnet_error *err);
/* GET of it from byte `from` on; `answer` as http_request leaves it. Not tried again. */
effnet_status hub_session_get(const HubSession *session, const char *revision, const char *file, int64_t from,
                              HttpBody body, void *context, HttpAnswer *answer, effnet_error *err);
/* May a request that ended so be repeated? Waits before the try-th repetition (from 0), or returns false. */
bool hub_session_wait(const HttpAnswer *answer, int repetition);

#endif
