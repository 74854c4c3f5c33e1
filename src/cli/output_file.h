/* output_file.h - a file to write that is one of those read: refused, as what was read would be gone. */
#ifndef EFFNET_CLI_OUTPUT_FILE_H
#define EFFNET_CLI_OUTPUT_FILE_H

#include <stdbool.h>

/* Whether `out` is there and is the same file as `input` (NULL: never), under whatever name; says so on standard error as
 * `verb`'s, with what to do. */
bool output_is_input(const char *verb, const char *out, const char *input);

#endif
