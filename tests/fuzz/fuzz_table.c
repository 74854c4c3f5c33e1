/* fuzz_table.c - any bytes as a CSV file: rows whose fields lie within the text and end, or an error. */
#include "data/sources/table_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text) abort();
    memcpy(text, data, size);
    text[size] = 0;
    TableReader reader = table_begin("fuzz", text, ',');
    if (reader.next < text || reader.next > text + size) abort();
    size_t rows = 0;
    for (;;) {
        TableRow row;
        effnet_error err = {0};
        effnet_status status = table_next(&reader, &row, &err);
        if (status != EFFNET_OK && !err.message[0]) abort();
        if (status != EFFNET_OK || !row.count) break;
        if (++rows > size || row.count > TABLE_FIELDS) abort();
        for (int i = 0; i < row.count; i++)
            if (row.fields[i] < text || row.fields[i] + strlen(row.fields[i]) > text + size) abort();
    }
    free(text);
    return 0;
}
