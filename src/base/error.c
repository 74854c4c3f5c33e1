/* error.c - see error.h. */
#include "base/error.h"

#include "base/number_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

effnet_status fail(effnet_error *err, effnet_status status, const char *format, ...) {
    if (err) {
        va_list arguments;
        va_start(arguments, format);
        err->status = status;
        number_print_list(err->message, sizeof err->message, format, arguments);
        va_end(arguments);
        for (char *c = err->message; *c; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' '; /* names from files: no terminal escapes */
    }
    return status;
}

effnet_status fail_within(effnet_error *err, effnet_status status, const char *format, ...) {
    if (err) {
        char inner[sizeof err->message], outer[sizeof err->message];
        memcpy(inner, err->message, sizeof inner);
        va_list arguments;
        va_start(arguments, format);
        number_print_list(outer, sizeof outer, format, arguments);
        va_end(arguments);
        return fail(err, status, "%s: %s", outer, inner);
    }
    return status;
}
