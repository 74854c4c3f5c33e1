/* hub_session.c - see hub_session.h. */
#include "hub/hub_session.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { MOST_REDIRECTS = 5, DEFAULT_TIMEOUT = 30, REPETITIONS = 3 };

/* ---- the environment ---- */

/* What may stand in a header or an address. */
static bool is_visible(const char *text) {
    for (; *text; text++)
        if (*text <= ' ' || *text > '~') return false;
    return true;
}

effnet_status hub_session_begin(const HubName *name, HubSession *out, effnet_error *err) {
    const char *endpoint = getenv("HF_ENDPOINT"), *token = getenv("HF_TOKEN"),
               *seconds = getenv("HF_HUB_DOWNLOAD_TIMEOUT");
    *out = (HubSession){.name = *name, .timeout = DEFAULT_TIMEOUT};
    if (!endpoint || !*endpoint) endpoint = "https://huggingface.co";
    if (strlen(endpoint) >= sizeof out->endpoint || !is_visible(endpoint) ||
        (strncasecmp(endpoint, "https://", 8) != 0 && strncasecmp(endpoint, "http://", 7) != 0) ||
        strpbrk(endpoint, "@?#"))
        return fail(err, EFFNET_ERROR_ARGUMENT, "HF_ENDPOINT is '%.100s'; wanted an address as https://huggingface.co",
                    endpoint);
    snprintf(out->endpoint, sizeof out->endpoint, "%s", endpoint);
    for (size_t length = strlen(out->endpoint); length && out->endpoint[length - 1] == '/';)
        out->endpoint[--length] = 0;
    if (token && *token) {
        if (!is_visible(token) || strlen(token) > 500)
            return fail(err, EFFNET_ERROR_ARGUMENT,
                        "HF_TOKEN has blanks or other bytes that no token has; set it again");
        out->token = token;
    }
    if (seconds && *seconds) {
        int value = atoi(seconds);
        if (value < 1 || value > 3600)
            return fail(err, EFFNET_ERROR_ARGUMENT, "HF_HUB_DOWNLOAD_TIMEOUT is '%.20s'; allowed: 1 to 3600 seconds",
                        seconds);
        out->timeout = value;
    }
    return EFFNET_OK;
}

/* ---- redirects ---- */

/* Length of "scheme://host:port". */
static size_t origin_length(const char *url) {
    const char *host = strstr(url, "://");
    return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#\\") : 0;
}

/* Scheme, host and port are the same, letter for letter but for case. */
static bool same_origin(const char *a, const char *b) {
    const size_t length = origin_length(a);
    return length && length == origin_length(b) && strncasecmp(a, b, length) == 0;
}

static bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Names that a later answer does not repeat are kept. */
static void keep(char *to, const char *from) {
    if (!*to) memcpy(to, from, HTTP_TEXT);
}

static void keep_headers(HttpAnswer *answer, const HttpAnswer *before) {
    keep(answer->commit, before->commit);
    keep(answer->linked_etag, before->linked_etag);
    if (answer->linked_size < 0) answer->linked_size = before->linked_size;
}

static effnet_status follow(const HubSession *session, const char *revision, const char *file, HttpRequest *request,
                            HttpAnswer *answer, effnet_error *err) {
    char url[HTTP_URL];
    HttpAnswer before = {.linked_size = -1};
    snprintf(url, sizeof url, "%s/%s/%s/resolve/%s/%s", session->endpoint, session->name.owner, session->name.name,
             revision, file);
    request->url = url;
    request->timeout = session->timeout;
    for (int i = 0; i <= MOST_REDIRECTS; i++) {
        /* The token is for the hub: where it sends us to (a store of large files) has no use for it */
        request->token = same_origin(url, session->endpoint) ? session->token : NULL;
        TRY(http_request(request, answer, err));
        if (!is_redirect(answer->status)) return EFFNET_OK;
        if (!*answer->location) return fail(err, EFFNET_ERROR_IO, "'%s' is redirected to nowhere", url);
        keep_headers(answer, &before);
        /* The hub's own answer says what a large file is; its store's does not */
        if (request->head && *answer->linked_etag && !same_origin(answer->location, session->endpoint))
            return EFFNET_OK;
        if (strncasecmp(session->endpoint, "https:", 6) == 0 && strncasecmp(answer->location, "https:", 6) != 0)
            return fail(err, EFFNET_ERROR_IO, "'%s' is redirected to '%.200s', which is not https", url,
                        answer->location);
        before = *answer;
        snprintf(url, sizeof url, "%s", answer->location);
    }
    return fail(err, EFFNET_ERROR_IO, "'%s/%s/%s': more than %d redirects", session->endpoint, session->name.owner,
                session->name.name, MOST_REDIRECTS);
}

/* ---- what went wrong ---- */

static effnet_status explain(const HubSession *session, const char *revision, const char *file,
                             const HttpAnswer *answer, effnet_error *err) {
    char model[2 * HUB_WORD + 4], page[HTTP_URL];
    snprintf(model, sizeof model, "%s/%s", session->name.owner, session->name.name);
    snprintf(page, sizeof page, "%s/%s", session->endpoint, model);
    const int status = answer->status;
    if (strcmp(answer->code, "RevisionNotFound") == 0)
        return fail(err, EFFNET_ERROR_IO, "'%s' has no revision '%s'; see %s/commits", model, revision, page);
    if (strcmp(answer->code, "GatedRepo") == 0 || status == 403)
        return fail(
            err, EFFNET_ERROR_IO,
            "the hub does not let us have '%s' (status %d): accept its terms at %s, and set HF_TOKEN to a token of "
            "that account",
            model, status, page);
    if (status == 401 && session->token && strcmp(answer->code, "RepoNotFound") != 0)
        return fail(err, EFFNET_ERROR_IO,
                    "the hub refuses the token in HF_TOKEN for '%s' (status 401); make another, or "
                    "unset it where the model is public",
                    model);
    if (status == 401 || strcmp(answer->code, "RepoNotFound") == 0)
        return fail(err, EFFNET_ERROR_IO,
                    "there is no model '%s' at %s (status %d), or it is private: check the name, or set HF_TOKEN",
                    model, session->endpoint, status);
    if (status == 404)
        return fail(err, EFFNET_ERROR_IO, "there is no '%s' at %s/tree/%s (status 404)", file, page, revision);
    return fail(err, EFFNET_ERROR_IO, "'%s/resolve/%s/%s' is answered by status %d; try again later", page, revision,
                file, status);
}

bool hub_session_wait(const HttpAnswer *answer, int repetition) {
    static const double seconds[REPETITIONS] = {0.2, 0.5, 2};
    const int status = answer->status;
    if (repetition >= REPETITIONS || !(answer->broken || status / 100 == 5 || status == 408 || status == 429))
        return false;
    struct timespec pause = {.tv_sec = (time_t)seconds[repetition],
                             .tv_nsec = (long)((seconds[repetition] - (double)(time_t)seconds[repetition]) * 1e9)};
    nanosleep(&pause, NULL);
    return true;
}

/* ---- requests ---- */

effnet_status hub_session_ask(const HubSession *session, const char *revision, const char *file, HttpAnswer *answer,
                              bool *absent, effnet_error *err) {
    effnet_status status;
    int repetition = 0;
    if (absent) *absent = false;
    do {
        HttpRequest request = {.head = true};
        status = follow(session, revision, file, &request, answer, err);
        /* Who has no network is told so at once; a download that has begun waits for it */
    } while ((status != EFFNET_OK || answer->status >= 400) && !answer->unreachable &&
             hub_session_wait(answer, repetition++));
    TRY(status);
    if (answer->status == 200 || is_redirect(answer->status)) return EFFNET_OK;
    const bool elsewhere = *answer->code && strcmp(answer->code, "EntryNotFound") != 0;
    if (absent && answer->status == 404 && !elsewhere) {
        *absent = true;
        return EFFNET_OK;
    }
    return explain(session, revision, file, answer, err);
}

effnet_status hub_session_get(const HubSession *session, const char *revision, const char *file, int64_t from,
                              HttpBody body, void *context, HttpAnswer *answer, effnet_error *err) {
    HttpRequest request = {.from = from, .body = body, .context = context};
    TRY(follow(session, revision, file, &request, answer, err));
    if (answer->status == 200 || answer->status == 206) return EFFNET_OK;
    return explain(session, revision, file, answer, err);
}
