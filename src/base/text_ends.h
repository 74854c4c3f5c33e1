/* text_ends.h - whether a text ends in another. */
#ifndef EFFNET_BASE_TEXT_ENDS_H
#define EFFNET_BASE_TEXT_ENDS_H

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static inline bool text_ends_with(const char *text, const char *ending) {
    const size_t length = strlen(text), end = strlen(ending);
    return length >= end && strcmp(text + length - end, ending) == 0;
}

/* The same whatever the letter case, as names of files are told apart by people. */
static inline bool text_ends_with_any_case(const char *text, const char *ending) {
    const size_t length = strlen(text), end = strlen(ending);
    return length >= end && strcasecmp(text + length - end, ending) == 0;
}

#endif
