/* api_text.c - text from outside, as the library reads all of it, for programs around it. */
#include "effnet.h"

#include "base/text_file.h"

#include <stdlib.h>

effnet_status effnet_text_of_bytes(const char *name, const void *bytes, size_t size, char **text, effnet_error *err) {
    size_t length;
    if (!name || !bytes || !text) return fail(err, EFFNET_ERROR_ARGUMENT, "name, bytes or text is NULL");
    return text_of_bytes(name, bytes, size, text, &length, err);
}
