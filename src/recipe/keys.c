/* keys.c - the table of recipe keys, made from keys.def, and the search in it. */
#include "recipe/keys.h"

#include <stddef.h>
#include <string.h>

#define ROW(key, help_, kind_, field) .name = key, .help = help_, .kind = kind_, .offset = offsetof(Recipe, field)
static const Key rows[] = {
#define KEY_SECTION(title)                      {.help = title},
#define KEY_STRING(key, field, initial_, help_) {ROW(key, help_, KIND_STRING, field), .count = 1, .text = initial_},
#define KEY_INTEGER(key, field, initial_, least_, most_, help_)                                                        \
    {ROW(key, help_, KIND_INTEGER, field), .count = 1, .least = least_, .most = most_, .initial = {initial_}},
#define KEY_SIZE(key, field, initial_, least_, most_, help_)                                                           \
    {ROW(key, help_, KIND_SIZE, field), .count = 1, .least = least_, .most = most_, .initial = {initial_}},
#define KEY_NUMBER(key, field, initial_, least_, most_, help_)                                                         \
    {ROW(key, help_, KIND_NUMBER, field), .count = 1, .least = least_, .most = most_, .initial = {initial_}},
#define KEY_SWITCH(key, field, initial_, help_)                                                                        \
    {ROW(key, help_, KIND_SWITCH, field), .count = 1, .initial = {initial_}},
#define KEY_CHOICE(key, field, prefix, initial_, choices_, help_)                                                      \
    {ROW(key, help_, KIND_CHOICE, field), .count = 1, .choices = choices_, .initial = {initial_}},
#define KEY_CHANNELS(key, field, d0, d1, d2, least_, most_, help_)                                                     \
    {ROW(key, help_, KIND_CHANNELS, field), .count = 3, .least = least_, .most = most_, .initial = {d0, d1, d2}},
#define KEY_PAIR(key, field, d0, d1, least_, most_, help_)                                                             \
    {ROW(key, help_, KIND_LIST, field), .count = 2, .least = least_, .most = most_, .initial = {d0, d1}},
#include "recipe/keys.def"
};

const Key *key_table(int *count) {
    *count = (int)(sizeof rows / sizeof *rows);
    return rows;
}

const Key *key_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].name && strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

/* Levenshtein's distance: insertions, deletions and replacements that turn a into b. Both are at most `NAME`
 * long. */
enum { NAME = 64 };
static int edit_distance(const char *a, const char *b) {
    int previous[NAME + 1], current[NAME + 1];
    int rows_a = (int)strlen(a), columns = (int)strlen(b);
    for (int j = 0; j <= columns; j++) previous[j] = j;
    for (int i = 1; i <= rows_a; i++) {
        current[0] = i;
        for (int j = 1; j <= columns; j++) {
            int least = previous[j - 1] + (a[i - 1] != b[j - 1]);
            if (previous[j] + 1 < least) least = previous[j] + 1;
            if (current[j - 1] + 1 < least) least = current[j - 1] + 1;
            current[j] = least;
        }
        memcpy(previous, current, sizeof previous);
    }
    return previous[columns];
}

const Key *key_nearest(const char *name) {
    size_t length = strlen(name);
    if (length > NAME) return NULL;
    const Key *nearest = NULL;
    int least = (int)length; /* as far as writing the key from nothing: not near */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].name) continue;
        int distance = edit_distance(name, rows[i].name);
        if (distance < least) {
            least = distance;
            nearest = &rows[i];
        }
    }
    return least * 3 <= (int)length * 2 ? nearest : NULL;
}

/* What other programs have and this one does otherwise, or not: better told than guessed at by spelling. */
static const char *other_programs_key(const char *name) {
    static const char *const others[][2] = {
        {"img_size", "the size of the network's input is called resolution: 224, or height x width, 224x320"},
        {"input_size", "the size of the network's input is called resolution: 224, or height x width, 224x320"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i][0]) == 0) return others[i][1];
    return NULL;
}

effnet_status key_unknown(const char *name, const char *where, effnet_error *err) {
    char shown[80];
    text_for_message(name, strlen(name), shown, sizeof shown);
    const char *otherwise = other_programs_key(name);
    if (otherwise) return fail(err, EFFNET_ERROR_UNSUPPORTED, "%s: unknown key '%s': %s", where, shown, otherwise);
    const Key *nearest = key_nearest(name);
    if (nearest)
        return fail(err, EFFNET_ERROR_FORMAT, "%s: unknown key '%s'; nearest: '%s'", where, shown, nearest->name);
    return fail(err, EFFNET_ERROR_FORMAT,
                "%s: unknown key '%s'; docs/recipe.md and 'effnet train --help-keys' list the keys", where, shown);
}
