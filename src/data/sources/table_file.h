/* table_file.h - rows of a CSV (RFC 4180) or TSV file: fields in double quotes may hold separators, line ends and
 * doubled quotes. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_TABLE_FILE_H
#define EFFNET_DATA_SOURCES_TABLE_FILE_H

#include "base/error.h"

enum { TABLE_FIELDS = 64, TABLE_TEXT_LIMIT = 1 << 30 }; /* bytes of a table */

typedef struct TableReader {
    const char *name; /* for messages */
    char *next;       /* the text from here on, ended by a zero byte; changed while it is read */
    char separator;
    int line; /* of the row that comes next, from 1 */
} TableReader;

typedef struct TableRow {
    char *fields[TABLE_FIELDS]; /* in the reader's text */
    int count;                  /* fields beyond TABLE_FIELDS are passed over */
    int line;
} TableRow;

/* A reader of all rows of a text. Between their fields stands what a first line `sep=;` says, as spreadsheets write it
 * for one another, and else `usual` where the first line that has any of them has it, or ';' (spreadsheets in countries
 * with a comma for decimals) or a tab or a comma, whichever comes first. */
TableReader table_begin(const char *name, char *text, char usual);
/* Empty rows are passed over; out->count is 0 at the end. A quote that does not end is an error. */
effnet_status table_next(TableReader *reader, TableRow *out, effnet_error *err);

#endif
