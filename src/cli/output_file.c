/* output_file.c - see output_file.h. */
#include "output_file.h"
#include "text.h"

#include <sys/stat.h>

bool output_is_input(const char *verb, const char *out, const char *input) {
    struct stat written, read;
    char name[600];
    if (!input || stat(out, &written) != 0 || stat(input, &read) != 0) return false;
    if (written.st_dev != read.st_dev || written.st_ino != read.st_ino) return false;
    text_for_terminal(out, name, sizeof name);
    fprintf(stderr, "effnet %s: '%s' is what is read: it is left as it was; name another file to write\n", verb, name);
    return true;
}
