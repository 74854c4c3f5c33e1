/* table_file.c - see table_file.h. Fields are unquoted in place: what is written is never longer than what was read. */
#include "data/sources/table_file.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* What stands between the fields of the first line that has any. */
static char find_separator(const char *text, char usual) {
    char other = 0;
    text += strspn(text, "\r\n");
    for (bool quoted = false; *text && (quoted || *text != '\n'); text++) {
        if (*text == '"') quoted = !quoted;
        if (quoted) continue;
        if (*text == usual) return usual;
        if (!other && strchr(",;\t", *text)) other = *text;
    }
    return other ? other : usual;
}

TableReader table_begin(const char *name, char *text, char usual) {
    static const char told[] = "sep=";
    enum { TOLD = sizeof told - 1 };
    if (strncasecmp(text, told, TOLD) == 0 && text[TOLD] && strchr(",;\t|", text[TOLD])) {
        char *behind = text + TOLD + 1;
        behind += *behind == '\r';
        if (*behind == '\n') return (TableReader){name, behind + 1, text[TOLD], 2};
    }
    return (TableReader){name, text, find_separator(text, usual), 1};
}

/* One field; *ended tells whether the row ends with it. */
static effnet_status read_field(TableReader *reader, char **field, bool *ended, effnet_error *err) {
    char *from = reader->next, *to = from;
    int begun = reader->line;
    bool quoted = *from == '"';
    *field = to;
    if (quoted) from++;
    for (;; from++) {
        if (quoted && !*from)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s': the quote of line %d does not end", reader->name, begun);
        if (quoted && *from == '"') {
            if (from[1] == '"') {
                from++; /* doubled: one of them */
            } else {
                quoted = false;
                continue;
            }
        } else if (!quoted && (!*from || *from == '\n' || *from == reader->separator)) {
            break;
        }
        if (*from == '\n') reader->line++;
        *to++ = *from;
    }
    *ended = *from != reader->separator;
    if (*from == '\n') reader->line++;
    reader->next = *from ? from + 1 : from;
    if (*ended && to > *field && to[-1] == '\r') to--;
    *to = 0;
    return EFFNET_OK;
}

effnet_status table_next(TableReader *reader, TableRow *out, effnet_error *err) {
    for (;;) {
        bool ended = false;
        *out = (TableRow){.line = reader->line};
        if (!*reader->next) return EFFNET_OK;
        while (!ended) {
            char *field;
            TRY(read_field(reader, &field, &ended, err));
            if (out->count < TABLE_FIELDS) out->fields[out->count++] = field;
        }
        if (out->count > 1 || out->fields[0][0]) return EFFNET_OK;
    }
}
