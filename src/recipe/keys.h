/* keys.h - keys.def as a table: what the parser, the writer and the help walk over. Private to src/recipe.
 *
 * A value is one text, or a few for a pair or triple: YAML gives them as scalars of a sequence, --set as text
 * with commas, and key_assign checks both in the same way. */
#ifndef EFFNET_RECIPE_KEYS_H
#define EFFNET_RECIPE_KEYS_H

#include "base/error.h"
#include "recipe/recipe_struct.h"

typedef enum KeyKind {
    KIND_STRING,
    KIND_INTEGER,
    KIND_SIZE,
    KIND_NUMBER,
    KIND_SWITCH,
    KIND_CHOICE,
    KIND_LIST,
    KIND_CHANNELS
} KeyKind;

typedef struct Key {
    const char *name; /* NULL in a row that only begins a section; `help` is its title */
    const char *help;
    KeyKind kind;
    size_t offset; /* of the field in Recipe */
    int count;     /* numbers in the field: 2 of KIND_LIST, as many at first of KIND_CHANNELS, else 1 */
    double least,
        most; /* KIND_INTEGER (exact below 2^53), KIND_SIZE (of a side), KIND_NUMBER, KIND_LIST, KIND_CHANNELS */
    const char *choices; /* KIND_CHOICE: "a|b|c" */
    const char *text;    /* KIND_STRING: the default */
    double initial[3];   /* the default of every other kind; a choice's index, a switch's 0 or 1 */
} Key;

enum {
    KEY_MAX_VALUES = MOST_CHANNELS,
    KEY_TEXT = 600
}; /* KEY_TEXT: bytes that hold any value or list of choices as text */

/* The table, section rows included; *count is its length. */
const Key *key_table(int *count);
/* NULL where there is no such key. */
const Key *key_find(const char *name);
/* The key with the least edit distance to `name`, or NULL where none is near. */
const Key *key_nearest(const char *name);

/* One text of a value. quoted: YAML quoted it, so it can only be a text, never a number or a switch. */
typedef struct ValueText {
    const char *text;
    size_t length;
    bool quoted;
} ValueText;

/* Checks and stores a value; is_list: it was written as a sequence. `where` ("recipes/x.yaml:7") begins the
 * message. */
effnet_status key_assign(const Key *key, Recipe *recipe, const ValueText *values, int count, bool is_list,
                         const char *where, effnet_error *err);
/* fail() for a name that no key has. */
effnet_status key_unknown(const char *name, const char *where, effnet_error *err);
/* The value of a key as text that key_assign takes back exactly; strings are not quoted. */
void key_format(const Key *key, const Recipe *recipe, char *buffer, size_t size);
/* "1 to 65536", "rmsprop, sgd, adamw", "true or false": what a message and the help say is allowed. */
void key_allowed(const Key *key, char *buffer, size_t size);
/* The shortest decimal text that reads back as the same double, with a point whatever the locale. */
void number_format(double value, char *buffer, size_t size);
/* Copies text for a message: control bytes as '?', cut with "..." where it does not fit. */
void text_for_message(const char *text, size_t length, char *buffer, size_t size);

#endif
