/* error.h - errors are values. A function that can fail returns effnet_status and takes `effnet_error *err`
 * last; it fills it by `return fail(err, EFFNET_ERROR_IO, "cannot open '%s': %s", path, strerror(errno));`.
 * A message is one line without a newline that names the file, line or key, what was found, what was wanted
 * and what to do. err may be NULL. */
#ifndef EFFNET_BASE_ERROR_H
#define EFFNET_BASE_ERROR_H

#include "effnet.h"

/* Formats the message into err (if not NULL) and returns `status`. What does not fit is cut out of the middle of the
 * longest words, which are paths. */
effnet_status fail(effnet_error *err, effnet_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "context: " before the message already in err; returns err's status. */
effnet_status fail_within(effnet_error *err, effnet_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts more behind the message already in err; returns err's status. */
effnet_status fail_further(effnet_error *err, effnet_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Passes an error on: TRY(model_build(...)) returns from the function if the call failed. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        effnet_status try_status_ = (call);                                                                            \
        if (try_status_ != EFFNET_OK) return try_status_;                                                              \
    } while (0)

#endif
