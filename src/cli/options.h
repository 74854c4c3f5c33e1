/* options.h - command lines by table: one row an option, read by the parser (getopt_long) and by --help. */
#ifndef EFFNET_CLI_OPTIONS_H
#define EFFNET_CLI_OPTIONS_H

#include "option_table.h"

typedef struct CommandLine {
    char **arguments; /* what is no option, in order */
    int count;
} CommandLine;

enum { PARSED = -1 };

/* Parses argv by `options` (ended by a row whose name is NULL) and permutes it, arguments last. Returns PARSED, or the
 * exit status where the program is to end: --help was printed, or the usage is wrong and a line says so. */
int parse_options(const VerbHelp *help, const Option *options, int argc, char **argv, CommandLine *out);

/* Prints "effnet VERB: MESSAGE; see 'effnet VERB --help'" on standard error and returns EXIT_USAGE. */
int usage_error(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The name with the least edit distance to `word` (ended by NULL), or NULL where none is near. */
const char *nearest_name(const char *word, const char *const *names);

#endif
