/* Fuzzes reading of text from outside: marks, UTF-16, line ends, and what a file is by its first bytes. */
#include "base/text_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text, hint[400];
    size_t length;
    if (text_of_bytes("fuzz", (const char *)data, size, &text, &length, NULL) != EFFNET_OK) return 0;
    if (strlen(text) != length || strchr(text, '\r')) abort();
    char *line = strchr(text, '\n');
    if (line) *line++ = 0;
    text_normalisation_hint(text_trim(text), line ? text_trim(line) : "", hint, sizeof hint);
    free(text);
    return 0;
}
