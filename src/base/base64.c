/* base64.c - see base64.h: three bytes are four letters of six bits each, '=' stands for what the end lacks. */
#include "base/base64.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *bytes, size_t size) {
    const uint8_t *from = bytes;
    if (size > SIZE_MAX / 2) return NULL;
    char *text = malloc((size + 2) / 3 * 4 + 1), *to = text;
    if (!text) return NULL;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t word =
            (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) | (left > 2 ? from[i + 2] : 0);
        *to++ = letters[word >> 18];
        *to++ = letters[word >> 12 & 63];
        *to++ = left > 1 ? letters[word >> 6 & 63] : '=';
        *to++ = left > 2 ? letters[word & 63] : '=';
    }
    *to = 0;
    return text;
}

uint8_t *base64_decode(const char *text, size_t *size) {
    size_t length = strlen(text), missing = 0, used = 0;
    if (length % 4) return NULL;
    while (missing < 2 && missing < length && text[length - 1 - missing] == '=') missing++;
    uint8_t *bytes = malloc(length / 4 * 3 + 1);
    bool good = bytes != NULL;
    uint32_t word = 0;
    for (size_t i = 0; good && i < length; i++) {
        const char *letter = i < length - missing ? memchr(letters, text[i], 64) : letters;
        good = letter != NULL;
        if (good) word = word << 6 | (uint32_t)(letter - letters);
        if (!good || i % 4 != 3) continue;
        for (int shift = 16; shift >= 0; shift -= 8) bytes[used++] = (uint8_t)(word >> shift);
    }
    if (!good) {
        free(bytes);
        return NULL;
    }
    *size = used - missing;
    return bytes;
}
