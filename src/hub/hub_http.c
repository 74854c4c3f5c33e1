/* hub_http.c - see hub_http.h. */
#include "hub/hub_http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_SECONDS = 20, HEADER_LIMIT = 256 << 10, SLOWEST = 100 /* bytes a second */ };

typedef struct Transfer {
    const HttpRequest *request;
    HttpAnswer *answer;
    size_t header_bytes;
    bool stopped;
} Transfer;

/* ---- headers ---- */

static bool copy_value(const char *line, size_t size, const char *name, char *out, size_t room) {
    const size_t length = strlen(name);
    if (size <= length || strncasecmp(line, name, length) != 0 || line[length] != ':') return false;
    line += length + 1;
    size -= length + 1;
    while (size && (*line == ' ' || *line == '\t')) line++, size--;
    while (size && (line[size - 1] == '\r' || line[size - 1] == '\n' || line[size - 1] == ' ')) size--;
    if (size >= room) size = 0; /* longer than any that means something */
    memcpy(out, line, size);
    out[size] = 0;
    return true;
}

/* A whole number of at least 0 at the beginning of `text`, or -1. */
static int64_t number(const char *text) {
    int64_t value = 0;
    if (*text < '0' || *text > '9') return -1;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *text - '0', &value)) return -1;
    return value;
}

static size_t take_header(char *line, size_t one, size_t count, void *context) {
    Transfer *transfer = context;
    HttpAnswer *answer = transfer->answer;
    const size_t size = one * count;
    char text[HTTP_TEXT];
    transfer->header_bytes += size;
    if (transfer->header_bytes > HEADER_LIMIT) {
        transfer->stopped = true;
        return 0;
    }
    copy_value(line, size, "etag", answer->etag, sizeof answer->etag);
    copy_value(line, size, "x-linked-etag", answer->linked_etag, sizeof answer->linked_etag);
    copy_value(line, size, "x-repo-commit", answer->commit, sizeof answer->commit);
    copy_value(line, size, "x-error-code", answer->code, sizeof answer->code);
    if (copy_value(line, size, "x-linked-size", text, sizeof text)) answer->linked_size = number(text);
    if (copy_value(line, size, "content-length", text, sizeof text)) answer->length = number(text);
    if (copy_value(line, size, "content-range", text, sizeof text) && strncasecmp(text, "bytes ", 6) == 0)
        answer->begin = number(text + 6);
    return size;
}

/* ---- the body ---- */

static size_t take_body(char *bytes, size_t one, size_t count, void *context) {
    Transfer *transfer = context;
    const size_t size = one * count;
    if (transfer->answer->status / 100 != 2 || !transfer->request->body) return size; /* a page about an error */
    if (transfer->request->body(transfer->request->context, transfer->answer, bytes, size)) return size;
    transfer->stopped = true;
    return 0;
}

typedef struct Handle {
    CURL *curl;
    Transfer transfer;
} Handle;

/* The status is known before the first byte of the body comes. */
static size_t take_body_with_status(char *bytes, size_t one, size_t count, void *context) {
    Handle *handle = context;
    long status = 0;
    curl_easy_getinfo(handle->curl, CURLINFO_RESPONSE_CODE, &status);
    handle->transfer.answer->status = (int)status;
    return take_body(bytes, one, count, &handle->transfer);
}

/* ---- the request ---- */

static bool set_options(Handle *handle, char *reason) {
    CURL *curl = handle->curl;
    const HttpRequest *request = handle->transfer.request;
    char range[40];
    bool good = curl_easy_setopt(curl, CURLOPT_URL, request->url) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_USERAGENT, "effnet") == CURLE_OK;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)SLOWEST);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)request->timeout);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &handle->transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body_with_status);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, handle);
    if (request->head) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (request->token) {
        good = good && curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, request->token) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) == CURLE_OK;
    }
    if (request->from > 0) {
        snprintf(range, sizeof range, "%lld-", (long long)request->from);
        good = good && curl_easy_setopt(curl, CURLOPT_RANGE, range) == CURLE_OK;
    }
    return good;
}

static void read_answer(Handle *handle) {
    HttpAnswer *answer = handle->transfer.answer;
    long status = 0;
    char *location = NULL;
    curl_easy_getinfo(handle->curl, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (int)status;
    if (curl_easy_getinfo(handle->curl, CURLINFO_REDIRECT_URL, &location) == CURLE_OK && location &&
        strlen(location) < sizeof answer->location)
        strcpy(answer->location, location);
}

effnet_status http_request(const HttpRequest *request, HttpAnswer *answer, effnet_error *err) {
    char reason[CURL_ERROR_SIZE] = "";
    *answer = (HttpAnswer){.length = -1, .linked_size = -1, .begin = -1};
    Handle handle = {.curl = curl_easy_init(), .transfer = {.request = request, .answer = answer}};
    if (!handle.curl || !set_options(&handle, reason)) {
        if (handle.curl) curl_easy_cleanup(handle.curl);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for a request of '%s'", request->url);
    }
    CURLcode code = curl_easy_perform(handle.curl);
    read_answer(&handle);
    curl_easy_cleanup(handle.curl);
    if (code == CURLE_OK) return EFFNET_OK;
    answer->unreachable =
        code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT;
    answer->broken = !handle.transfer.stopped && code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_URL_MALFORMAT &&
                     code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_SSL_CACERT_BADFILE;
    return fail(err, EFFNET_ERROR_IO, "'%s' cannot be fetched: %s", request->url,
                reason[0] ? reason : curl_easy_strerror(code));
}

bool http_is_there(void) {
    return true;
}
