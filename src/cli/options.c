/* options.c - see options.h. */
#include "options.h"

#include "help_forms.h"
#include "text.h"
#include "verbs.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OPTIONS = 30, HELP_CODE = 1000, MAX_WORD = 40 };

int usage_error(const char *verb, const char *format, ...) {
    char message[400], safe[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    text_for_terminal(message, safe, sizeof safe);
    fprintf(stderr, "effnet %s: %s; see 'effnet %s --help'\n", verb, safe, verb);
    return EXIT_USAGE;
}

static int edit_distance(const char *a, const char *b) {
    int row[MAX_WORD + 1], length = (int)strlen(b);
    for (int j = 0; j <= length; j++) row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= length; j++) {
            int least = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < least) least = row[j] + 1;
            if (row[j - 1] + 1 < least) least = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = least;
        }
    }
    return row[length];
}

const char *nearest_name(const char *word, const char *const *names) {
    const char *nearest = NULL;
    if (strlen(word) > MAX_WORD) return NULL;
    int least = (int)strlen(word);
    for (; *names; names++) {
        int distance = edit_distance(word, *names);
        if (distance < least) {
            least = distance;
            nearest = *names;
        }
    }
    return least * 3 <= (int)strlen(word) * 2 ? nearest : NULL;
}

enum { HELP_COLUMN = 27, HELP_WIDTH = 100 };

/* Words from HELP_COLUMN on, the first line's cursor being there already; a line ends before HELP_WIDTH. */
static void print_in_column(const char *text) {
    int column = HELP_COLUMN;
    while (*text) {
        const int length = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + length > HELP_WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            putchar(' ');
            column++;
        }
        printf("%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* An option and what it is: beside one another, or, where the option is long, below. */
static void print_option(const char *name, const char *argument, const char *text) {
    const int length = printf("  --%s%s%s", name, argument ? " " : "", argument ? argument : "");
    if (length >= HELP_COLUMN) putchar('\n');
    printf("%*s", length >= HELP_COLUMN ? HELP_COLUMN : HELP_COLUMN - length, "");
    print_in_column(text);
}

static void print_help(const VerbHelp *help, const Option *options) {
    const Verb *verb = verb_table;
    while (strcmp(verb->name, help->verb) != 0) verb++;
    printf("usage: effnet %s %s\n\n%c%s.\n", verb->name, verb->arguments, verb->about[0] & ~0x20, verb->about + 1);
    if (help->text) printf("%s", help->text);
    printf("\n");
    for (const Option *option = options; option->name; option++) {
        char range[80], text[1000];
        option_range(option, range, sizeof range);
        snprintf(text, sizeof text, "%s%s%s%s%s", option->help, *range ? " (" : "", range, *range ? ")" : "",
                 option->kind == OPTION_LIST ? "; may be given more than once" : "");
        print_option(option->name, option->argument, text);
    }
    print_option("help", NULL, "this text");
    printf("\nExamples:\n%s", help->examples);
}

/* A whole number and nothing beside it: no blanks, no fraction, nothing that 64 bits do not hold. */
static bool whole_number(const char *text, long long *value) {
    char *end = NULL;
    size_t sign = *text == '-' || *text == '+';
    if (!text[sign] || text[sign + strspn(text + sign, "0123456789")]) return false;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return !*end && !errno;
}

static bool is_allowed(const Option *option, long long value) {
    return (option->or_zero && value == 0) || (value >= option->least && value <= option->most);
}

static int parse_integer(const VerbHelp *help, const Option *option, const char *text) {
    char allowed[80];
    long long value = 0;
    bool good = whole_number(text, &value) && is_allowed(option, value);
    option_range(option, allowed, sizeof allowed);
    if (!good) return usage_error(help->verb, "--%s is '%.60s'; allowed: %s", option->name, text, allowed);
    *(int64_t *)option->target = value;
    return PARSED;
}

/* "224": a square; "224x320": height and width. */
static int parse_size(const VerbHelp *help, const Option *option, const char *text) {
    char allowed[80], first[24];
    long long height = 0, width = 0;
    const size_t length = strcspn(text, "x");
    bool good = length < sizeof first;
    snprintf(first, sizeof first, "%.*s", (int)(good ? length : 0), text);
    good = good && whole_number(first, &height) && whole_number(text[length] ? text + length + 1 : first, &width) &&
           is_allowed(option, height) && is_allowed(option, width) && !height == !width;
    option_range(option, allowed, sizeof allowed);
    if (!good) return usage_error(help->verb, "--%s is '%.60s'; allowed: %s", option->name, text, allowed);
    *(OptionSize *)option->target = (OptionSize){(int)height, (int)width};
    return PARSED;
}

static bool is_choice(const char *choices, const char *text) {
    size_t length = strlen(text);
    for (const char *choice = choices; length; choice++) {
        if (strcspn(choice, "|") == length && strncmp(choice, text, length) == 0) return true;
        choice = strchr(choice, '|');
        if (!choice) return false;
    }
    return false;
}

static int store(const VerbHelp *help, const Option *option, const char *text, int argc) {
    OptionList *list = option->target;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->target = true;
        return PARSED;
    case OPTION_TEXT:
        if (!*text) return usage_error(help->verb, "--%s is empty; give %s", option->name, option->argument);
        *(const char **)option->target = text;
        return PARSED;
    case OPTION_INTEGER:
        return parse_integer(help, option, text);
    case OPTION_SIZE:
        return parse_size(help, option, text);
    case OPTION_CHOICE:
        if (!is_choice(option->choices, text))
            return usage_error(help->verb, "--%s is '%.60s'; allowed: %s", option->name, text, option->choices);
        *(const char **)option->target = text;
        return PARSED;
    case OPTION_LIST:
        if (!list->items) list->items = calloc((size_t)argc, sizeof *list->items);
        if (!list->items) return usage_error(help->verb, "no memory for the command line");
        list->items[list->count++] = text;
        return PARSED;
    }
    return PARSED;
}

/* Says what is wrong with the argument that getopt_long stopped at. */
static int unknown_option(const VerbHelp *help, const Option *options, const char *argument, bool missing) {
    const char *names[MAX_OPTIONS + 2];
    char name[MAX_WORD + 1];
    int count = 0;
    for (const Option *option = options; option->name; option++) names[count++] = option->name;
    names[count++] = "help";
    names[count] = NULL;
    if (missing) return usage_error(help->verb, "%.60s needs a value after it", argument);
    if (access(argument, F_OK) == 0)
        return usage_error(help->verb, "'%.60s' begins as options do; if the file here is meant, call it './%.60s'",
                           argument, argument);
    if (strncmp(argument, "--", 2) != 0) return usage_error(help->verb, "unknown option '%.60s'", argument);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return usage_error(help->verb, "--%s takes no value", name);
    const char *nearest = nearest_name(name, names);
    if (nearest) return usage_error(help->verb, "unknown option '--%s'; nearest: '--%s'", name, nearest);
    return usage_error(help->verb, "unknown option '--%s'", name);
}

/* The argument that getopt_long did not take. Of a long one optind is already behind it; of a short one, a letter, optind
 * moves on only after the last letter, and permuted arguments have moved: so the letter is looked for. */
static const char *stopped_at(int argc, char **argv, int code) {
    const char *last = optind > 0 && optind <= argc ? argv[optind - 1] : NULL;
    if (code == ':' || !optopt || (last && strncmp(last, "--", 2) == 0)) return last ? last : "";
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == '-' && argv[i][1] != '-' && strchr(argv[i], optopt)) return argv[i];
    return last ? last : "";
}

/* --help=FORM; NULL: --help alone. */
static int print_help_as(const VerbHelp *help, const Option *options, const char *form) {
    if (!form)
        print_help(help, options);
    else if (strcmp(form, "man") == 0)
        print_man_page(help, options);
    else if (strcmp(form, "words") == 0)
        print_option_words(options);
    else
        return usage_error(help->verb, "--help is '%.60s'; allowed: man, words, or nothing", form);
    return EXIT_OK;
}

int parse_options(const VerbHelp *help, const Option *options, int argc, char **argv, CommandLine *out) {
    struct option rows[MAX_OPTIONS + 2] = {{0}};
    int count = 0;
    for (; options[count].name && count < MAX_OPTIONS; count++)
        rows[count] = (struct option){.name = options[count].name,
                                      .has_arg = options[count].kind == OPTION_FLAG ? no_argument : required_argument,
                                      .val = HELP_CODE + 1 + count};
    rows[count] = (struct option){.name = "help", .has_arg = optional_argument, .val = HELP_CODE};
    opterr = 0; /* the messages are ours */
    optind = 0; /* begin anew */
    for (;;) {
        int code = getopt_long(argc, argv, ":h", rows, NULL);
        if (code == -1) break;
        if (code == 'h' || code == HELP_CODE) {
            return print_help_as(help, options, code == HELP_CODE ? optarg : NULL);
        }
        if (code == '?' || code == ':') {
            return unknown_option(help, options, stopped_at(argc, argv, code), code == ':');
        }
        int status = store(help, &options[code - HELP_CODE - 1], optarg, argc);
        if (status != PARSED) return status;
    }
    *out = (CommandLine){.arguments = argv + optind, .count = argc - optind};
    return PARSED;
}
