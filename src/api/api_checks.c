/* api_checks.c - structures that cross between a program and a library which may be of another version: options are
 * copied in, results are copied out, as far as both know them. */
#include "api/handles.h"

#include <string.h>

enum { LARGEST_STRUCTURE = 16384 }; /* what lies above is no size but what the caller forgot to set */

static effnet_status check_size(size_t size, const char *name, effnet_error *err) {
    if (size < sizeof size || size > LARGEST_STRUCTURE)
        return fail(err, EFFNET_ERROR_ARGUMENT, "%s.struct_size is %zu; set it to sizeof(%s)", name, size, name);
    return EFFNET_OK;
}

static size_t size_of(const void *structure) {
    size_t size; /* struct_size comes first in all of them */
    memcpy(&size, structure, sizeof size);
    return size;
}

effnet_status options_copy(const void *given, void *out, size_t size, const char *name, effnet_error *err) {
    memset(out, 0, size);
    memcpy(out, &size, sizeof size);
    if (!given) return EFFNET_OK;
    const size_t given_size = size_of(given);
    TRY(check_size(given_size, name, err));
    for (size_t i = size; i < given_size; i++)
        if (((const char *)given)[i])
            return fail(err, EFFNET_ERROR_UNSUPPORTED, "%s sets a field that this library, %s, does not know", name,
                        effnet_version());
    memcpy(out, given, given_size < size ? given_size : size);
    memcpy(out, &size, sizeof size);
    return EFFNET_OK;
}

effnet_status result_clear(void *result, const char *name, effnet_error *err) {
    const size_t size = size_of(result);
    TRY(check_size(size, name, err));
    memset((char *)result + sizeof size, 0, size - sizeof size);
    return EFFNET_OK;
}

void result_write(void *result, const void *filled, size_t size) {
    const size_t known = size_of(result) < size ? size_of(result) : size;
    memcpy((char *)result + sizeof size, (const char *)filled + sizeof size, known - sizeof size);
}
