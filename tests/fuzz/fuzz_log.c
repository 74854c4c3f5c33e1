/* fuzz_log.c - any bytes as the log.jsonl that a run goes on with: cut back to step 5, what is left is lines of steps
 * up to it and is left as it is by the next time. */
#include "fuzz_file.h"
#include "train/run_log.h"

#include <sys/stat.h>

static long cut(const char *path, int64_t *evaluated) {
    RunLog log;
    effnet_error err = {0};
    struct stat status;
    if (run_log_open(&log, fuzz_folder, &err) != EFFNET_OK || run_log_cut(&log, 5, &err) != EFFNET_OK) abort();
    *evaluated = log.evaluated_step;
    run_log_close(&log);
    if (stat(path, &status) != 0) abort();
    return (long)status.st_size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[128];
    int64_t first, second;
    fuzz_make_folder();
    snprintf(path, sizeof path, "%s/log.jsonl", fuzz_folder);
    fuzz_write(path, data, size);
    long kept = cut(path, &first);
    if (kept < 0 || kept > (long)size || first > 5) abort();
    if (cut(path, &second) != kept || first != second) abort();
    unlink(path);
    return 0;
}
