/* hub_http_absent.c - hub_http.h in a program that was built without libcurl. */
#include "hub/hub_http.h"

effnet_status http_request(const HttpRequest *request, HttpAnswer *answer, effnet_error *err) {
    *answer = (HttpAnswer){.length = -1, .linked_size = -1, .begin = -1};
    return fail(
        err, EFFNET_ERROR_UNSUPPORTED,
        "'%s' cannot be fetched: this program was built without libcurl (Debian: libcurl4-openssl-dev); download "
        "it otherwise, with the config.json beside it, and give the file",
        request->url);
}

bool http_is_there(void) {
    return false;
}
