/* text_file.c - see text_file.h. */
#include "base/text_file.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "base/linked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- encodings ---- */

/* One character as UTF-8; returns its bytes. */
static size_t put_utf8(uint32_t code, char *out) {
    const uint8_t low = (uint8_t)(0x80 | (code & 0x3F));
    if (code < 0x80) return *out = (char)code, 1;
    if (code < 0x800) {
        const uint8_t bytes[2] = {(uint8_t)(0xC0 | code >> 6), low};
        memcpy(out, bytes, 2);
        return 2;
    }
    if (code < 0x10000) {
        const uint8_t bytes[3] = {(uint8_t)(0xE0 | code >> 12), (uint8_t)(0x80 | (code >> 6 & 0x3F)), low};
        memcpy(out, bytes, 3);
        return 3;
    }
    const uint8_t bytes[4] = {(uint8_t)(0xF0 | code >> 18), (uint8_t)(0x80 | (code >> 12 & 0x3F)),
                              (uint8_t)(0x80 | (code >> 6 & 0x3F)), low};
    memcpy(out, bytes, 4);
    return 4;
}

static uint32_t unit_at(const char *bytes, size_t at, bool big) {
    const uint8_t *pair = (const uint8_t *)bytes + at;
    return big ? (uint32_t)pair[0] << 8 | pair[1] : (uint32_t)pair[1] << 8 | pair[0];
}

/* out has room for 3 bytes a pair. */
static effnet_status from_utf16(const char *name, const char *bytes, size_t length, bool big, char *out, size_t *size,
                                effnet_error *err) {
    size_t used = 0;
    if (length % 2)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is UTF-16 text with half a character at its end: it is truncated",
                    name);
    for (size_t at = 0; at < length; at += 2) {
        uint32_t code = unit_at(bytes, at, big);
        if (code >= 0xD800 && code < 0xDC00 && at + 4 <= length) {
            uint32_t low = unit_at(bytes, at + 2, big);
            if (low >= 0xDC00 && low < 0xE000) {
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                at += 2;
            }
        }
        if (code >= 0xD800 && code < 0xE000)
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s' is UTF-16 text with half a character at byte %zu: it is damaged", name, at);
        used += put_utf8(code, out + used);
    }
    *size = used;
    return EFFNET_OK;
}

typedef enum Encoding { UTF8, UTF16_LITTLE, UTF16_BIG, UTF32 } Encoding;

/* By the mark, whose bytes *mark becomes; UTF-16 without one by the zero halves of its first two characters. */
static Encoding encoding_of(const char *bytes, size_t length, size_t *mark) {
    *mark = 0;
    if (length >= 4 && (memcmp(bytes, "\xFF\xFE\0\0", 4) == 0 || memcmp(bytes, "\0\0\xFE\xFF", 4) == 0)) return UTF32;
    if (length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) *mark = 3;
    if (length >= 2 && memcmp(bytes, "\xFF\xFE", 2) == 0) return *mark = 2, UTF16_LITTLE;
    if (length >= 2 && memcmp(bytes, "\xFE\xFF", 2) == 0) return *mark = 2, UTF16_BIG;
    if (length >= 4 && bytes[0] && !bytes[1] && bytes[2] && !bytes[3]) return UTF16_LITTLE;
    if (length >= 4 && !bytes[0] && bytes[1] && !bytes[2] && bytes[3]) return UTF16_BIG;
    return UTF8;
}

/* ---- line ends ---- */

/* "\r\n" and a "\r" alone become "\n", in place. */
static size_t unify_line_ends(char *text, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\r' && i + 1 < size && text[i + 1] == '\n') continue;
        text[used++] = text[i] == '\r' ? '\n' : text[i];
    }
    text[used] = 0;
    return used;
}

effnet_status text_of_bytes(const char *name, const char *bytes, size_t length, char **out, size_t *size,
                            effnet_error *err) {
    size_t mark;
    *out = NULL;
    *size = 0;
    const char *kind = file_kind_of(bytes, length);
    if (kind) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is %s; wanted a text", name, kind);
    Encoding encoding = encoding_of(bytes, length, &mark);
    if (encoding == UTF32) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is UTF-32 text; save it as UTF-8", name);
    bytes += mark;
    length -= mark;
    if (length > SIZE_MAX / 3 - 1) return fail(err, EFFNET_ERROR_MEMORY, "'%s' is too long", name);
    char *text = malloc(encoding == UTF8 ? length + 1 : length / 2 * 3 + 3);
    if (!text) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", name);
    effnet_status status = EFFNET_OK;
    if (encoding == UTF8)
        memcpy(text, bytes, length);
    else
        status = from_utf16(name, bytes, length, encoding == UTF16_BIG, text, &length, err);
    if (status == EFFNET_OK && memchr(text, 0, length))
        status = fail(err, EFFNET_ERROR_FORMAT, "'%s' holds a zero byte: it is no text", name);
    if (status != EFFNET_OK) {
        free(text);
        return status;
    }
    *size = unify_line_ends(text, length);
    *out = text;
    return EFFNET_OK;
}

effnet_status text_file_read(const char *path, size_t limit, char **out, size_t *size, effnet_error *err) {
    char *bytes;
    size_t length;
    *out = NULL;
    *size = 0;
    TRY(file_read(path, limit, &bytes, &length, err));
    effnet_status status = text_of_bytes(path, bytes, length, out, size, err);
    free(bytes);
    return status;
}

char *text_trim(char *text) {
    while (*text == ' ' || *text == '\t') text++;
    size_t length = strlen(text);
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    text[length] = 0;
    return text;
}

size_t text_utf8_length(const char *character) {
    const unsigned char *text = (const unsigned char *)character;
    unsigned first = text[0];
    if (first < 0x80) return 1;
    size_t length = first >= 0xC2 && first <= 0xDF ? 2 : first >= 0xE0 && first <= 0xEF ? 3 : 4;
    if (first < 0xC2 || first > 0xF4) return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    if ((first == 0xE0 && text[1] < 0xA0) || (first == 0xED && text[1] > 0x9F)) return 0;
    if ((first == 0xF0 && text[1] < 0x90) || (first == 0xF4 && text[1] > 0x8F)) return 0;
    return length;
}

char *text_escaped(const char *text) {
    char *out = malloc(4 * strlen(text) + 1), *to = out;
    while (out && *text) {
        const size_t length = text_utf8_length(text);
        if (length)
            to = (char *)memcpy(to, text, length) + length;
        else
            to += sprintf(to, "\\x%02x", (unsigned char)*text);
        text += length ? length : 1;
    }
    if (out) *to = 0;
    return out;
}

char *text_folded(const char *text) {
    if (!is_linked((void (*)(void))utf8proc_NFC)) return NULL;
    char *folded = (char *)utf8proc_NFKC_Casefold((const utf8proc_uint8_t *)text);
    if (folded) memmove(folded, text_trim(folded), strlen(text_trim(folded)) + 1);
    return folded;
}

void text_normalisation_hint(const char *a, const char *b, char *out, size_t size) {
    *out = 0;
    if (strcmp(a, b) == 0 || !is_linked((void (*)(void))utf8proc_NFC)) return;
    utf8proc_uint8_t *left = utf8proc_NFC((const utf8proc_uint8_t *)a),
                     *right = utf8proc_NFC((const utf8proc_uint8_t *)b);
    char *folded_left = text_folded(a), *folded_right = text_folded(b);
    if (left && right && strcmp((const char *)left, (const char *)right) == 0)
        snprintf(out, size,
                 "; '%.100s' looks the same and is written with other characters (composed or not: Unicode "
                 "normalisation): rename one of them",
                 b);
    else if (folded_left && folded_right && strcmp(folded_left, folded_right) == 0)
        snprintf(out, size, "; '%.100s' differs in letter case, blanks or width alone: rename one of them", b);
    free(left);
    free(right);
    free(folded_left);
    free(folded_right);
}
