/* option_table.h - a verb's options as a table: one row an option, read by the parser (options.h) and by every form of help
 * (help_forms.h). */
#ifndef EFFNET_CLI_OPTION_TABLE_H
#define EFFNET_CLI_OPTION_TABLE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum OptionKind {
    OPTION_FLAG,    /* target: bool */
    OPTION_TEXT,    /* target: const char * */
    OPTION_INTEGER, /* target: int64_t, between least and most */
    OPTION_SIZE,    /* target: OptionSize, "224" or "224x320", each side between least and most */
    OPTION_CHOICE,  /* target: const char *, one of choices "a|b" */
    OPTION_LIST,    /* target: OptionList; the option may be given again */
} OptionKind;

/* Of a network's input; 0, 0: not given. */
typedef struct OptionSize {
    int height, width;
} OptionSize;

typedef struct OptionList {
    const char **items; /* room for one item an argument of the command line; freed by the verb */
    int count;
} OptionList;

typedef struct Option {
    const char *name;     /* without the dashes */
    const char *argument; /* "DIR"; NULL for a flag */
    OptionKind kind;
    void *target;
    const char *help;
    int64_t least, most;
    bool or_zero; /* 0 is allowed too, and means what `help` says of it */
    const char *choices;
} Option;

/* Rows of each kind; `place` is the target. */
#define OPTION_ROW_FLAG(title, place, what)                                                                            \
    { .name = (title), .target = (place), .kind = OPTION_FLAG, .help = (what) }
#define OPTION_ROW_TEXT(title, form, place, what)                                                                      \
    { .name = (title), .argument = (form), .target = (place), .kind = OPTION_TEXT, .help = (what) }
#define OPTION_ROW_INTEGER(title, form, place, from, to, what)                                                         \
    {                                                                                                                  \
        .name = (title), .argument = (form), .target = (place), .kind = OPTION_INTEGER, .help = (what),                \
        .least = (from), .most = (to)                                                                                  \
    }
#define OPTION_ROW_CHOICE(title, all, place, what)                                                                     \
    { .name = (title), .argument = (all), .target = (place), .kind = OPTION_CHOICE, .help = (what), .choices = (all) }
#define OPTION_ROW_LIST(title, form, place, what)                                                                      \
    { .name = (title), .argument = (form), .target = (place), .kind = OPTION_LIST, .help = (what) }

/* What a verb's --help says. */
typedef struct VerbHelp {
    const char *verb;
    const char *text;     /* paragraphs below the usage line; may be NULL */
    const char *examples; /* lines */
} VerbHelp;

#endif
