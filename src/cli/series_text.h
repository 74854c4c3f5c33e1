/* series_text.h - several runs of one recipe, at their end: each with its accuracy, then mean and deviation. */
#ifndef EFFNET_CLI_SERIES_TEXT_H
#define EFFNET_CLI_SERIES_TEXT_H

#include <stdbool.h>

/* Is the report of a result the record of a series? */
bool series_is_record(const char *report);
/* The record that the library wrote, for a person or as one JSON object, on standard output; the exit status. */
int series_print(const char *verb, const char *record, bool json);

#endif
