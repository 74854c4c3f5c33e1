/* error.c - see error.h. A message that is too long for its place loses the middle of its longest words, which are
 * paths: what was wrong and what to do stand after them and must not be pushed out. */
#include "base/error.h"

#include "base/number_text.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 4 * PATH_MAX, ELLIPSIS = 3, LEAST_WORD = 24 };

static bool continues_character(char c) {
    return ((unsigned char)c & 0xC0) == 0x80; /* of UTF-8 */
}

/* Where the longest run without a blank begins, and its length. */
static size_t longest_word(const char *text, size_t *length) {
    size_t best = 0;
    *length = 0;
    for (size_t at = 0; text[at];) {
        size_t word = strcspn(text + at, " ");
        if (word > *length) {
            best = at;
            *length = word;
        }
        at += word + (text[at + word] == ' ');
    }
    return best;
}

/* Until it fits `room` with its terminating zero. */
static void shorten(char *text, size_t room) {
    for (size_t length = strlen(text); length >= room; length = strlen(text)) {
        size_t word, excess = length - room + 1 + ELLIPSIS, at = longest_word(text, &word);
        if (word < LEAST_WORD + ELLIPSIS + 1) { /* nothing but short words: the end goes */
            size_t end = room - 1 - ELLIPSIS;
            while (end > 0 && continues_character(text[end])) end--;
            memcpy(text + end, "...", ELLIPSIS + 1);
            return;
        }
        size_t kept = word > excess + LEAST_WORD ? word - excess : LEAST_WORD;
        size_t head = kept / 2, tail = word - (kept - head);
        while (head > 0 && continues_character(text[at + head])) head--;
        while (tail < word && continues_character(text[at + tail])) tail++;
        memcpy(text + at + head, "...", ELLIPSIS);
        memmove(text + at + head + ELLIPSIS, text + at + tail, length - at - tail + 1);
    }
}

/* `before`, the formatted text and `after`, into err. */
static void set_message(effnet_error *err, effnet_status status, const char *before, const char *format,
                        va_list arguments, const char *after) {
    char text[LONGEST];
    const size_t head = strlen(before), room = sizeof text - head - strlen(after);
    memcpy(text, before, head);
    number_print_list(text + head, room, format, arguments);
    strcat(text, after);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' '; /* names from files: no terminal escapes */
    shorten(text, sizeof err->message);
    err->status = status;
    memcpy(err->message, text, strlen(text) + 1);
}

effnet_status fail(effnet_error *err, effnet_status status, const char *format, ...) {
    if (err) {
        va_list arguments;
        va_start(arguments, format);
        set_message(err, status, "", format, arguments, "");
        va_end(arguments);
    }
    return status;
}

effnet_status fail_within(effnet_error *err, effnet_status status, const char *format, ...) {
    if (err) {
        char after[sizeof err->message + 2] = ": ";
        va_list arguments;
        va_start(arguments, format);
        set_message(err, status, "", format, arguments, strcat(after, err->message));
        va_end(arguments);
    }
    return status;
}

effnet_status fail_further(effnet_error *err, effnet_status status, const char *format, ...) {
    if (err) {
        va_list arguments;
        va_start(arguments, format);
        set_message(err, status, err->message, format, arguments, "");
        va_end(arguments);
    }
    return status;
}
