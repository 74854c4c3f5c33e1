/* series_curve.c - see series_curve.h. */
#include "train/series_curve.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/number_text.h"
#include "report/reference_curve.h"
#include "report/run_curves.h"

#include <math.h>

enum { MOST_EPOCHS = REFERENCE_POINTS };

typedef struct Sums {
    int count[MOST_EPOCHS + 1];
    double sum[MOST_EPOCHS + 1], squares[MOST_EPOCHS + 1]; /* squares: of what is apart from the first run's */
    double first[MOST_EPOCHS + 1];
} Sums;

static void add_run(Sums *sums, const RunCurves *curves) {
    for (int64_t i = 0; i < curves->count; i++) {
        const double epoch = curves->values[CURVE_EPOCH][i], averaged = curves->values[CURVE_EMA_TOP1][i];
        const double accuracy = averaged >= 0 ? averaged : curves->values[CURVE_TOP1][i];
        if (!curves->ends_epoch[i] || !(accuracy >= 0) || !(epoch >= 1 && epoch <= MOST_EPOCHS)) continue;
        const int at = (int)epoch;
        if (sums->count[at]++ == 0) sums->first[at] = accuracy;
        const double apart = accuracy - sums->first[at];
        sums->sum[at] += apart;
        sums->squares[at] += apart * apart;
    }
}

static int epochs_of_all(const Sums *sums, int runs) {
    int epochs = 0;
    for (int at = 1; at <= MOST_EPOCHS; at++) epochs += sums->count[at] == runs;
    return epochs;
}

static void print(const Sums *sums, int runs, FILE *stream) {
    fprintf(stream, "# epoch, mean top-1 of %d runs, standard deviation between them\n", runs);
    for (int at = 1; at <= MOST_EPOCHS; at++) {
        char line[100];
        if (sums->count[at] != runs) continue;
        const double mean = sums->sum[at] / runs;
        const double variance = runs > 1 ? fmax(0, sums->squares[at] - runs * mean * mean) / (runs - 1) : 0;
        number_print(line, sizeof line, "%d %.3f %.3f\n", at, sums->first[at] + mean, sqrt(variance));
        fputs(line, stream);
    }
}

effnet_status series_curve_write(const char *path, const char *const *folders, int count, effnet_error *err) {
    void *block;
    TRY(memory_allocate(1, sizeof(Sums), "the curves of several runs", &block, err));
    Sums *sums = block;
    *sums = (Sums){0};
    effnet_status status = EFFNET_OK;
    for (int i = 0; i < count && status == EFFNET_OK; i++) {
        RunCurves curves;
        status = run_curves_read(folders[i], &curves, err);
        if (status == EFFNET_OK) add_run(sums, &curves);
        if (status == EFFNET_OK) run_curves_free(&curves);
    }
    AtomicFile file;
    if (status == EFFNET_OK && epochs_of_all(sums, count) > 0) {
        status = atomic_file_open(&file, path, err);
        if (status == EFFNET_OK) {
            print(sums, count, file.stream);
            status = atomic_file_commit(&file, err);
        }
    }
    memory_free(block);
    return status;
}
