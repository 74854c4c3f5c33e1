/* run_memory.c - see run_memory.h. Weights and averages have been written by now and count as used; small blocks, the
 * decoders' buffers and the caches of pictures, which take only what the others leave, are not counted. */
#include "train/run_memory.h"

#include "base/number_text.h"
#include "train/initial_state.h"

enum { RING = 5 }; /* batches of a loader: one with the caller, four being made */

void run_memory_expect(const Run *run, int evaluation_batch, RunMemory *out) {
    const Recipe *recipe = run->recipe;
    const int64_t parameters = (int64_t)run->network.parameter_floats * (int64_t)sizeof(float);
    const int64_t picture = (int64_t)(shape_floats(run->network.config.input) * sizeof(float));
    const int64_t batch = recipe->batch_size / workers_count(run->workers);
    const ExecutorInfo info = executor_info(run->trainer.executor);
    *out = (RunMemory){.activations = (int64_t)info.memory_bytes,
                       .state = parameters * (1 + optimizer_slots(recipe->opt, (const char *[2]){0})),
                       .pictures = RING * (batch + evaluation_batch) * picture};
}

void run_memory_note_device(const ExecutorInfo *info, RunNotes *notes) {
    char text[300];
    if (info->device_memory == 0 || info->device_bytes <= info->device_memory) return;
    number_print(
        text, sizeof text,
        "a step takes about %.3g GiB of a device that has %.3g: where it does not fit, make batch_size smaller "
        "or accumulate larger, or set amp: bf16",
        (double)info->device_bytes / 0x1p30, (double)info->device_memory / 0x1p30);
    run_note(notes, "%s", text);
}

effnet_status run_memory_check(const RunMemory *memory, const Machine *machine, const Recipe *recipe, bool anyway,
                               RunNotes *notes, effnet_error *err) {
    const double gib = 1 << 30;
    const int64_t needed = memory->activations + memory->state + memory->pictures;
    char text[400], limit[60] = "";
    if (machine->memory_free <= 0 || needed <= machine->memory_free) return EFFNET_OK; /* 0: nothing is known */
    if (machine->memory_limit)
        number_print(limit, sizeof limit, " (the control group's limit is %.3g)", (double)machine->memory_limit / gib);
    number_print(text, sizeof text,
                 "the run needs about %.3g GiB more, %.3g of them for the activations of %lld pictures at a time, and "
                 "%.3g GiB are free%s",
                 (double)needed / gib, (double)memory->activations / gib, (long long)recipe_part(recipe),
                 (double)machine->memory_free / gib, limit);
    if (anyway) {
        run_note(notes, "%s: it may be killed", text);
        return EFFNET_OK;
    }
    return fail(
        err, EFFNET_ERROR_MEMORY,
        "%s: make batch_size (%lld) smaller or accumulate (%lld) larger, set amp: bf16 or a smaller resolution, "
        "or say --memory-anyway to begin all the same",
        text, (long long)recipe->batch_size, (long long)recipe->accumulate);
}
