/* value.c - one value of a recipe: text to field, checked by its key's row, and field to text. */
#include "recipe/keys.h"

#include "base/number_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_for_message(const char *text, size_t length, char *buffer, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (used + 4 >= size) {
            used += (size_t)snprintf(buffer + used, size - used, "...");
            break;
        }
        unsigned char c = (unsigned char)text[i];
        buffer[used++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    buffer[used] = 0;
}

/* A decimal number by its characters: no hexadecimal, infinity or NaN, and always a point, whatever the
 * locale. */
static bool parse_number(const char *text, double *out) {
    char *end = NULL;
    if (!*text || strlen(text) != strspn(text, "0123456789+-.eE")) return false;
    *out = number_of_text(text, &end);
    bool vanished = *out == 0 && strcspn(text, "123456789") < strcspn(text, "eE"); /* 1e-999 is not 0 */
    return *end == 0 && !vanished;
}

static bool parse_integer(const char *text, int64_t *out, bool *too_large) {
    char *end = NULL;
    if (!*text || strlen(text) != strspn(text, "0123456789+-")) return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    *too_large = errno == ERANGE;
    return *end == 0;
}

/* "224" or "224x320": digits alone, so that the text comes back as it was. *outside: a side is beyond the key's bounds. */
static bool parse_size(const Key *key, const char *text, PictureSize *out, bool *outside) {
    const char *times = strchr(text, 'x');
    int64_t sides[2] = {0};
    char first[24];
    bool too_large[2] = {false};
    size_t length = times ? (size_t)(times - text) : strlen(text);
    if (length >= sizeof first) return false;
    memcpy(first, text, length);
    first[length] = 0;
    if (!parse_integer(first, &sides[0], &too_large[0]) ||
        !parse_integer(times ? times + 1 : first, &sides[1], &too_large[1]))
        return false;
    for (int i = 0; i < 2; i++)
        *outside = *outside || too_large[i] || (double)sides[i] < key->least || (double)sides[i] > key->most;
    *outside = *outside || (sides[0] == 0) != (sides[1] == 0); /* 0: not said, which is of both */
    if (!*outside) *out = (PictureSize){(int)sides[0], (int)sides[1]};
    return true;
}

void number_format(double value, char *buffer, size_t size) {
    for (int digits = 15; digits <= 17; digits++) {
        double back = 0;
        number_print(buffer, size, "%.*g", digits, value);
        if (parse_number(buffer, &back) && back == value) return;
    }
}

/* An integer that may be `auto`, which the field has as 0. */
static bool takes_auto(const Key *key) {
    return strcmp(key->name, "batch_size") == 0;
}

void key_allowed(const Key *key, char *buffer, size_t size) {
    char least[40], most[40];
    number_format(key->least, least, sizeof least);
    number_format(key->most, most, sizeof most);
    switch (key->kind) {
    case KIND_STRING:
        snprintf(buffer, size, "text of at most %d bytes", RECIPE_TEXT - 1);
        break;
    case KIND_INTEGER:
        snprintf(buffer, size, "%lld to %lld%s", (long long)key->least, (long long)key->most,
                 takes_auto(key) ? ", or auto" : "");
        break;
    case KIND_SIZE:
        snprintf(buffer, size, "%s to %s, or two of them, height x width, such as 224x320", least, most);
        break;
    case KIND_NUMBER:
        snprintf(buffer, size, "%s to %s", least, most);
        break;
    case KIND_SWITCH:
        snprintf(buffer, size, "true or false");
        break;
    case KIND_LIST:
        snprintf(buffer, size, "2 numbers, each %s to %s", least, most);
        break;
    case KIND_CHANNELS:
        snprintf(buffer, size, "1 to %d numbers, each %s to %s", (int)MOST_CHANNELS, least, most);
        break;
    case KIND_CHOICE: {
        size_t used = 0;
        for (const char *c = key->choices; *c && used + 3 < size; c++) {
            buffer[used++] = *c == '|' ? ',' : *c;
            if (*c == '|') buffer[used++] = ' ';
        }
        buffer[used] = 0;
        break;
    }
    }
}

/* What a message says instead of key_allowed where the type itself is wrong. */
static const char *kind_wanted(const Key *key) {
    switch (key->kind) {
    case KIND_INTEGER:
    case KIND_SIZE:
        return "a whole number, ";
    case KIND_NUMBER:
        return "a number, ";
    case KIND_LIST:
    case KIND_CHANNELS:
        return "a list of ";
    default:
        return "";
    }
}

static effnet_status wrong_type(const Key *key, const char *found, const char *where, effnet_error *err) {
    char allowed[KEY_TEXT];
    key_allowed(key, allowed, sizeof allowed);
    return fail(err, EFFNET_ERROR_FORMAT, "%s: %s is %s; allowed: %s%s", where, key->name, found, kind_wanted(key),
                allowed);
}

static effnet_status out_of_range(const Key *key, const char *found, const char *where, effnet_error *err) {
    char allowed[KEY_TEXT];
    key_allowed(key, allowed, sizeof allowed);
    return fail(err, EFFNET_ERROR_FORMAT, "%s: %s is %s; allowed: %s", where, key->name, found, allowed);
}

/* UTF-8 without control characters (a tab is none here), line separators and non-characters: what a YAML text
 * carries there and back with no escapes but those of write_quoted. */
static bool is_plain_text(const char *text, size_t length) {
    for (size_t i = 0; i < length;) {
        unsigned char c = (unsigned char)text[i];
        int extra = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : -1;
        if (extra < 0 || (size_t)extra >= length - i) return false;
        uint32_t code = extra == 0 ? c : c & (0x3Fu >> extra);
        for (int k = 1; k <= extra; k++) {
            if (((unsigned char)text[i + (size_t)k] & 0xC0) != 0x80) return false;
            code = code << 6 | ((unsigned char)text[i + (size_t)k] & 0x3Fu);
        }
        static const uint32_t shortest[4] = {0, 0x80, 0x800, 0x10000};
        if (code < shortest[extra] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
        if ((code < 0x20 && code != '\t') || (code >= 0x7F && code < 0xA0)) return false;
        if (code == 0x2028 || code == 0x2029 || code == 0xFEFF || code == 0xFFFE || code == 0xFFFF) return false;
        i += (size_t)extra + 1;
    }
    return true;
}

static effnet_status assign_string(const Key *key, Recipe *recipe, const ValueText *value, const char *where,
                                   effnet_error *err) {
    if (value->length >= RECIPE_TEXT)
        return fail(err, EFFNET_ERROR_FORMAT, "%s: %s is %zu bytes long; allowed: at most %d", where, key->name,
                    value->length, RECIPE_TEXT - 1);
    if (!is_plain_text(value->text, value->length))
        return fail(err, EFFNET_ERROR_FORMAT, "%s: %s holds a control character or bytes that are not UTF-8", where,
                    key->name);
    char *field = (char *)recipe + key->offset;
    memset(field, 0, RECIPE_TEXT); /* equal recipes are equal byte for byte */
    memcpy(field, value->text, value->length);
    return EFFNET_OK;
}

static int choice_index(const char *choices, const char *text) {
    size_t length = strlen(text);
    for (int index = 0;; index++) {
        size_t one = strcspn(choices, "|");
        if (one == length && memcmp(choices, text, one) == 0) return index;
        if (!choices[one]) return -1;
        choices += one + 1;
    }
}

effnet_status key_assign(const Key *key, Recipe *recipe, const ValueText *values, int count, bool is_list,
                         const char *where, effnet_error *err) {
    char *field = (char *)recipe + key->offset;
    char found[120], shown[80];
    const bool wants_list = key->kind == KIND_LIST || key->kind == KIND_CHANNELS;
    if (is_list != wants_list) return wrong_type(key, is_list ? "a list" : "not a list", where, err);
    const bool fits = key->kind == KIND_CHANNELS ? count >= 1 && count <= MOST_CHANNELS : count == key->count;
    if (is_list && !fits) {
        snprintf(found, sizeof found, "a list of %d", count);
        return wrong_type(key, found, where, err);
    }
    if (key->kind == KIND_STRING) return assign_string(key, recipe, &values[0], where, err);
    double numbers[KEY_MAX_VALUES];
    for (int i = 0; i < count; i++) {
        const ValueText *value = &values[i];
        text_for_message(value->text, value->length, shown, sizeof shown);
        snprintf(found, sizeof found, "%s'%s'", value->quoted ? "the quoted text " : "", shown);
        bool has_nul = strlen(value->text) != value->length, too_large = false;
        int64_t integer = 0;
        int index;
        switch (key->kind) {
        case KIND_INTEGER:
            if (takes_auto(key) && !value->quoted && strcmp(value->text, "auto") == 0) {
                *(int64_t *)(void *)field = 0;
                break;
            }
            if (value->quoted || has_nul || !parse_integer(value->text, &integer, &too_large))
                return wrong_type(key, found, where, err);
            if (too_large || (double)integer < key->least || (double)integer > key->most)
                return out_of_range(key, shown, where, err);
            *(int64_t *)(void *)field = integer;
            break;
        case KIND_SIZE:
            if (value->quoted || has_nul || !parse_size(key, value->text, (PictureSize *)(void *)field, &too_large))
                return wrong_type(key, found, where, err);
            if (too_large) return out_of_range(key, shown, where, err);
            break;
        case KIND_NUMBER:
        case KIND_LIST:
        case KIND_CHANNELS:
            if (value->quoted || has_nul || !parse_number(value->text, &numbers[i]))
                return wrong_type(key, found, where, err);
            if (!(numbers[i] >= key->least && numbers[i] <= key->most)) {
                if (key->kind == KIND_NUMBER) return out_of_range(key, shown, where, err);
                snprintf(found, sizeof found, "%s at place %d", shown, i + 1);
                return out_of_range(key, found, where, err);
            }
            break;
        case KIND_SWITCH:
            if (value->quoted || (strcmp(value->text, "true") != 0 && strcmp(value->text, "false") != 0))
                return wrong_type(key, found, where, err);
            *(bool *)(void *)field = value->text[0] == 't';
            break;
        case KIND_CHOICE:
            index = has_nul ? -1 : choice_index(key->choices, value->text);
            snprintf(found, sizeof found, "'%s'", shown);
            if (index < 0) return wrong_type(key, found, where, err);
            *(int *)(void *)field = index;
            break;
        case KIND_STRING:
            break;
        }
    }
    if (key->kind == KIND_CHANNELS) {
        ChannelValues *values_of = (ChannelValues *)(void *)field;
        *values_of = (ChannelValues){.count = count}; /* what is not used is 0: equal recipes are equal byte for byte */
        memcpy(values_of->values, numbers, (size_t)count * sizeof *numbers);
    }
    if (key->kind == KIND_NUMBER || key->kind == KIND_LIST)
        memcpy(field, numbers, (size_t)count * sizeof *numbers); /* all of a list or nothing */
    return EFFNET_OK;
}

void key_format(const Key *key, const Recipe *recipe, char *buffer, size_t size) {
    const char *field = (const char *)recipe + key->offset;
    const double *numbers = (const double *)(const void *)field;
    switch (key->kind) {
    case KIND_STRING:
        snprintf(buffer, size, "%s", field);
        break;
    case KIND_INTEGER:
        if (takes_auto(key) && *(const int64_t *)(const void *)field == 0)
            snprintf(buffer, size, "auto");
        else
            snprintf(buffer, size, "%lld", (long long)*(const int64_t *)(const void *)field);
        break;
    case KIND_SIZE: {
        const PictureSize *sides = (const PictureSize *)(const void *)field;
        if (sides->height == sides->width)
            snprintf(buffer, size, "%d", sides->height);
        else
            snprintf(buffer, size, "%dx%d", sides->height, sides->width);
        break;
    }
    case KIND_NUMBER:
        number_format(*numbers, buffer, size);
        break;
    case KIND_SWITCH:
        snprintf(buffer, size, "%s", *(const bool *)(const void *)field ? "true" : "false");
        break;
    case KIND_CHOICE: {
        const char *choice = key->choices;
        for (int index = *(const int *)(const void *)field; index > 0; index--) choice += strcspn(choice, "|") + 1;
        snprintf(buffer, size, "%.*s", (int)strcspn(choice, "|"), choice);
        break;
    }
    case KIND_LIST:
    case KIND_CHANNELS: { /* a ChannelValues begins with its numbers */
        const int count =
            key->kind == KIND_LIST ? key->count : (int)((const ChannelValues *)(const void *)field)->count;
        size_t used = 0;
        for (int i = 0; i < count && used < size; i++) {
            char text[40];
            number_format(numbers[i], text, sizeof text);
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", i ? ", " : "[", text);
        }
        if (used < size) snprintf(buffer + used, size - used, "]");
        break;
    }
    }
}
