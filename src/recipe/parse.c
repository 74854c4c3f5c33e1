/* parse.c - a YAML recipe read event by event, so that every message knows its line.
 *
 * A recipe is one document holding one mapping from keys to scalars or short sequences of scalars. A mapping
 * below a key stands for a prefix: `checkpoint: {keep: 3}` is `checkpoint.keep: 3`. What YAML has besides
 * (anchors, aliases, tags, several documents) is refused: a recipe should read the same to a person and to
 * the program. */
#include "recipe/keys.h"
#include "recipe/recipe.h"

#include "base/text_file.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { RECIPE_MAX_BYTES = 1 << 20, MAX_KEYS = 200, WHERE = 300, KEY_NAME = 200 };

typedef struct Reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the latest; has_event says that it must be deleted */
    bool has_event;
    const char *file, *text;
    size_t size;
    char where[WHERE]; /* "file:line" of the latest event */
    Recipe *recipe;
    int lines[MAX_KEYS]; /* by row of the key table: the line that set it, 0: none yet */
    effnet_error *err;
} Reader;

static void set_where(Reader *reader, size_t line) {
    char shown[WHERE - 24];
    text_for_message(reader->file, strlen(reader->file), shown, sizeof shown);
    snprintf(reader->where, sizeof reader->where, "%s:%zu", shown, line + 1);
}

static effnet_status refuse(Reader *reader, const char *what) {
    return fail(reader->err, EFFNET_ERROR_FORMAT, "%s: %s", reader->where, what);
}

/* Moves to the next event. Anchors and tags are refused here, for every kind of event. */
static effnet_status next_event(Reader *reader) {
    if (reader->has_event) yaml_event_delete(&reader->event);
    reader->has_event = false;
    yaml_parser_t *parser = &reader->parser;
    if (!yaml_parser_parse(parser, &reader->event)) {
        if (parser->error == YAML_MEMORY_ERROR)
            return fail(reader->err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", reader->file);
        size_t line = parser->problem_mark.line;
        if (parser->error == YAML_READER_ERROR) { /* a bad byte, told by its offset */
            line = 0;
            for (size_t i = 0; i < parser->problem_offset && i < reader->size; i++) line += reader->text[i] == '\n';
        }
        set_where(reader, line);
        return fail(reader->err, EFFNET_ERROR_FORMAT, "%s: not YAML: %s", reader->where,
                    parser->problem ? parser->problem : "unreadable");
    }
    reader->has_event = true;
    set_where(reader, reader->event.start_mark.line);
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (reader->event.type == YAML_SCALAR_EVENT) {
        anchor = reader->event.data.scalar.anchor;
        tag = reader->event.data.scalar.tag;
    } else if (reader->event.type == YAML_SEQUENCE_START_EVENT) {
        anchor = reader->event.data.sequence_start.anchor;
        tag = reader->event.data.sequence_start.tag;
    } else if (reader->event.type == YAML_MAPPING_START_EVENT) {
        anchor = reader->event.data.mapping_start.anchor;
        tag = reader->event.data.mapping_start.tag;
    }
    if (anchor || reader->event.type == YAML_ALIAS_EVENT)
        return refuse(reader, "anchors and aliases (&, *) are not allowed in a recipe; write the value out");
    if (tag) return refuse(reader, "tags (!) are not allowed in a recipe; write the bare value");
    return EFFNET_OK;
}

static ValueText scalar_value(const Reader *reader) {
    return (ValueText){.text = (const char *)reader->event.data.scalar.value,
                       .length = reader->event.data.scalar.length,
                       .quoted = reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE};
}

static effnet_status read_sequence(Reader *reader, const Key *key) {
    char texts[KEY_MAX_VALUES][80], where[WHERE];
    ValueText values[KEY_MAX_VALUES];
    int count = 0;
    memcpy(where, reader->where, sizeof where);
    for (;;) {
        TRY(next_event(reader));
        if (reader->event.type == YAML_SEQUENCE_END_EVENT) break;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return fail(reader->err, EFFNET_ERROR_FORMAT,
                        "%s: %s holds a list or mapping in its list; allowed: numbers", reader->where, key->name);
        ValueText value = scalar_value(reader);
        if (count < KEY_MAX_VALUES) {
            if (value.length >= sizeof texts[0]) value.length = sizeof texts[0] - 1; /* no number is as long */
            memcpy(texts[count], value.text, value.length);
            texts[count][value.length] = 0;
            values[count] = (ValueText){.text = texts[count], .length = value.length, .quoted = value.quoted};
        }
        count++;
    }
    return key_assign(key, reader->recipe, values, count, true, where, reader->err);
}

static effnet_status mark_line(Reader *reader, const Key *key) {
    int count, line = (int)reader->event.start_mark.line + 1;
    int row = (int)(key - key_table(&count));
    if (reader->lines[row])
        return fail(reader->err, EFFNET_ERROR_FORMAT, "%s: key '%s' is given twice; the first is on line %d",
                    reader->where, key->name, reader->lines[row]);
    reader->lines[row] = line;
    return EFFNET_OK;
}

static bool is_prefix(const char *name) {
    int count;
    size_t length = strlen(name);
    const Key *keys = key_table(&count);
    for (int i = 0; i < count; i++)
        if (keys[i].name && strncmp(keys[i].name, name, length) == 0 && keys[i].name[length] == '.') return true;
    return false;
}

/* The pairs of a mapping up to its end; prefix "" or "checkpoint." */
static effnet_status read_mapping(Reader *reader, const char *prefix) {
    for (;;) {
        char name[KEY_NAME];
        TRY(next_event(reader));
        if (reader->event.type == YAML_MAPPING_END_EVENT) return EFFNET_OK;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return refuse(reader, "a list or mapping stands where a key belongs; write 'key: value'");
        ValueText text = scalar_value(reader);
        if (strlen(text.text) != text.length || strlen(prefix) + text.length >= sizeof name)
            return refuse(reader, "a key is too long or holds a zero byte; write 'key: value'");
        snprintf(name, sizeof name, "%s%s", prefix, text.text);
        const Key *key = key_find(name);
        if (!key) {
            char where[WHERE];
            memcpy(where, reader->where, sizeof where);
            if (*prefix || !is_prefix(name)) return key_unknown(name, where, reader->err);
            TRY(next_event(reader));
            if (reader->event.type != YAML_MAPPING_START_EVENT)
                return fail(reader->err, EFFNET_ERROR_FORMAT, "%s: %s has keys of its own; write '%s: {key: value}'",
                            where, name, name);
            strcat(name, ".");
            TRY(read_mapping(reader, name));
            continue;
        }
        TRY(mark_line(reader, key));
        TRY(next_event(reader));
        if (reader->event.type == YAML_SEQUENCE_START_EVENT) {
            TRY(read_sequence(reader, key));
            continue;
        }
        char allowed[KEY_TEXT];
        key_allowed(key, allowed, sizeof allowed);
        if (reader->event.type == YAML_MAPPING_START_EVENT)
            return fail(reader->err, EFFNET_ERROR_FORMAT, "%s: %s is a mapping; allowed: %s", reader->where, key->name,
                        allowed);
        ValueText value = scalar_value(reader);
        if (value.length == 0 && !value.quoted)
            return fail(reader->err, EFFNET_ERROR_FORMAT, "%s: %s has no value; allowed: %s%s", reader->where,
                        key->name, allowed, key->kind == KIND_STRING ? "; write '' for an empty text" : "");
        TRY(key_assign(key, reader->recipe, &value, 1, false, reader->where, reader->err));
    }
}

static effnet_status read_document(Reader *reader) {
    TRY(next_event(reader)); /* the stream's start */
    TRY(next_event(reader));
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return fail(reader->err, EFFNET_ERROR_FORMAT, "'%s' is empty; a recipe is a list of 'key: value' lines",
                    reader->file);
    TRY(next_event(reader)); /* the document's start was the one before */
    if (reader->event.type != YAML_MAPPING_START_EVENT)
        return refuse(reader, "not a recipe; a recipe is a list of 'key: value' lines");
    TRY(read_mapping(reader, ""));
    TRY(next_event(reader)); /* the document's end */
    TRY(next_event(reader));
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return refuse(reader, "a second document begins; a recipe is one document");
    return EFFNET_OK;
}

/* "recipes/b0.yaml" -> "b0" */
static void name_from_path(const char *path, char *out, size_t size) {
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t length = strlen(base);
    const char *dot = strrchr(base, '.');
    if (dot && dot != base) length = (size_t)(dot - base);
    memset(out, 0, size);
    text_for_message(base, length, out, size);
}

effnet_status recipe_parse(const char *name, const char *text, size_t size, Recipe *recipe, effnet_error *err) {
    Reader reader = {.file = name, .text = text, .size = size, .recipe = recipe, .err = err};
    recipe_defaults(recipe);
    name_from_path(name, recipe->name, sizeof recipe->name);
    if (size > RECIPE_MAX_BYTES)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is longer than the %d bytes that a recipe may have", name,
                    RECIPE_MAX_BYTES);
    if (!yaml_parser_initialize(&reader.parser)) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", name);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    effnet_status status = read_document(&reader);
    if (reader.has_event) yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    if (status != EFFNET_OK) return status;
    status = recipe_check(recipe, err);
    return status == EFFNET_OK ? EFFNET_OK : fail_within(err, status, "%s", name);
}

effnet_status recipe_read(const char *path, Recipe *recipe, effnet_error *err) {
    char *text = NULL;
    size_t size = 0;
    TRY(text_file_read(path, RECIPE_MAX_BYTES, &text, &size, err));
    effnet_status status = recipe_parse(path, text, size, recipe, err);
    free(text);
    return status;
}
