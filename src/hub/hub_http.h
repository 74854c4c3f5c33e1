/* hub_http.h - one request over HTTP, by libcurl; no redirect is followed here. hub_http_absent.c stands in where the
 * program is built without libcurl. */
#ifndef EFFNET_HUB_HUB_HTTP_H
#define EFFNET_HUB_HUB_HTTP_H

#include "base/error.h"

#include <stdint.h>

enum { HTTP_URL = 4096, HTTP_TEXT = 160 };

typedef struct HttpAnswer {
    int status;              /* 200, 404, ...; 0: none came */
    bool unreachable;        /* no connection at all */
    bool broken;             /* the connection failed, or ended too soon: it may be tried again */
    char location[HTTP_URL]; /* of a redirect, whole; "" */
    char etag[HTTP_TEXT], linked_etag[HTTP_TEXT], commit[HTTP_TEXT], code[HTTP_TEXT]; /* the hub's headers; "" */
    int64_t length, linked_size, begin; /* Content-Length, X-Linked-Size, first byte of Content-Range; -1: not said */
} HttpAnswer;

/* Bytes of the body of an answer of status 2xx; false ends the transfer. */
typedef bool (*HttpBody)(void *context, const HttpAnswer *answer, const void *bytes, size_t size);

typedef struct HttpRequest {
    const char *url;
    const char *token; /* NULL: none is sent */
    bool head;         /* the headers alone */
    int64_t from;      /* > 0: the bytes from there on */
    int timeout;       /* seconds without a byte */
    HttpBody body;
    void *context;
} HttpRequest;

/* *answer is whole where EFFNET_OK is returned, whatever its status; after an error it says what came. Where `body` ended
 * the transfer the error is of no use: who wrote it knows better. */
effnet_status http_request(const HttpRequest *request, HttpAnswer *answer, effnet_error *err);
/* Is this program able to? */
bool http_is_there(void);

#endif
