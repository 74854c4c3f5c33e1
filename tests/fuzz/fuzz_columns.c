/* fuzz_columns.c - any bytes as a table of pictures, beside files that its rows may name: which columns are path and
 * label, whether there is a heading, several labels a row. The first byte says comma, tab or JSON lines. */
#include "fuzz_shard.h"
#include "fuzz_file.h"

static effnet_status open_table(const NameList *paths, Dataset **out, effnet_error *err) {
    bool absent, whole;
    const SplitWanted wanted = fuzz_splits(&absent, &whole);
    return source_table_open(paths, &wanted, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const tables[] = {"table.csv", "table.tsv", "table.jsonl"};
    static const char *const pictures[] = {"0.png", "1.png"};
    char path[128];
    fuzz_make_folder();
    if (!size) return 0;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", fuzz_folder, pictures[i]);
        fuzz_write(path, (const uint8_t *)"\x89PNG\r\n\x1a\n", 8);
    }
    snprintf(path, sizeof path, "%s/%s", fuzz_folder, tables[data[0] % 3]);
    fuzz_write(path, data + 1, size - 1);
    char *names[1] = {path};
    fuzz_shard_paths(&(NameList){.names = names, .count = 1}, open_table);
    unlink(path);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", fuzz_folder, pictures[i]);
        unlink(path);
    }
    return 0;
}
