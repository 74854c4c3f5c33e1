/* safetensors_sum.c - see safetensors_sum.h. */
#include "format/safetensors_sum.h"

#include "base/crc32c.h"

#include <string.h>

/* Inside of a JSON string a quotation mark is escaped, so the pattern stands nowhere but where the key does. */
char *sum_place(char *text, size_t size) {
    static const char pattern[] = "\"" SUM_KEY "\":\"";
    const size_t length = sizeof pattern - 1;
    for (char *at = text; size >= length + SUM_LENGTH; at++, size--) {
        char *quote = memchr(at, '"', size - length - SUM_LENGTH + 1);
        if (!quote) return NULL;
        size -= (size_t)(quote - at);
        at = quote;
        if (memcmp(at, pattern, length) == 0) return at + length;
    }
    return NULL;
}

void sum_store(char digits[SUM_DIGITS], uint32_t sum) {
    for (int i = 0; i < SUM_DIGITS; i++) digits[i] = "0123456789abcdef"[sum >> 4 * (SUM_DIGITS - 1 - i) & 15];
}

bool sum_load(const char digits[SUM_DIGITS], uint32_t *sum) {
    *sum = 0;
    for (int i = 0; i < SUM_DIGITS; i++) {
        char digit = digits[i];
        bool number = digit >= '0' && digit <= '9';
        if (!number && !(digit >= 'a' && digit <= 'f')) return false;
        *sum = *sum << 4 | (uint32_t)(number ? digit - '0' : digit - 'a' + 10);
    }
    return true;
}

uint32_t sum_header(const unsigned char length[8], const char *text, size_t size, const char *place) {
    size_t before = (size_t)(place - text);
    uint32_t sum = crc32c(0, length, 8);
    sum = crc32c(sum, text, before);
    sum = crc32c(sum, SUM_PLACEHOLDER, SUM_DIGITS);
    return crc32c(sum, place + SUM_DIGITS, size - before - SUM_DIGITS);
}
