/* Killed before every single call that changes a file, one after the other, and every single one of them failing, while a
 * checkpoint is written, a data set packed and a whole run trained: what was whole before is whole after, what says that
 * it is written is, and whoever goes on gets the same bits as without. */
#include "base/file.h"
#include "data/inspect/pack_write.h"
#include "fault/fault_count.h"
#include "fault/traced_child.h"
#include "small_run.h"
#include "train/checkpoint.h"
#include "train/checkpoint_verify.h"
#include "train/loop.h"
#include "unit/data/make_pictures.h"

#include <sys/mman.h>
#include <sys/stat.h>

static ScratchFolder folder;
static effnet_error err;
static SmallRun run, read_back;

/* What a child says of itself. */
typedef struct Said {
    effnet_status status;
    char message[500];
} Said;
static Said *said;

static const int errors[] = {EIO, ENOSPC, EINTR, EACCES};

static void need_tracing(const TracedChild *child) {
    if (child->traced && WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0) return;
    print_message("processes can't be traced here (status %x)\n", child->status);
    skip();
}

/* It ended by the kill that was asked for, or by itself. */
static bool ended_well(const TracedChild *child, bool killed) {
    if (killed && child->struck) return WIFSIGNALED(child->status) && WTERMSIG(child->status) == SIGKILL;
    return WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0;
}

/* ---- checkpoints ---- */

enum { STRIDE = 3 }; /* at the small size every third call */

typedef struct Writing {
    char out[300];
    int64_t step;
} Writing;

static void write_checkpoint(void *context) {
    const Writing *writing = context;
    small_run_fill(&run, writing->step);
    said->status = checkpoint_write(writing->out, &run.network, &run.recipe, &run.state, &run.card,
                                    (double)writing->step, writing->step, NULL, 0, &err);
    if (said->status == EFFNET_OK) said->status = checkpoint_mark_best(writing->out, writing->step, &err);
    if (said->status == EFFNET_OK) said->status = checkpoint_prune(writing->out, 2, &err);
    if (said->status != EFFNET_OK) snprintf(said->message, sizeof said->message, "%s", err.message);
}

static bool is_whole(const char *path, int64_t least) {
    double best;
    int64_t best_step;
    if (checkpoint_read(path, &read_back.network, &read_back.recipe, &read_back.state, &best, &best_step, &err) !=
        EFFNET_OK)
        return false;
    if (read_back.state.step < least) return false;
    small_run_fill(&run, read_back.state.step);
    return small_run_same(&run, &run.state, &read_back.state);
}

/* Steps `step` - 1 (and the one before) stand; `step` was being written. */
static void judge_checkpoints(const Writing *writing, const TracedChild *child, bool killed, FaultCount *count) {
    char path[512];
    bool found = false;
    count->tried++;
    if (!ended_well(child, killed)) {
        print_message("call %lld (number %lld): status %x\n", (long long)child->calls, (long long)child->call,
                      child->status);
        count->silent++;
    }
    const bool done = said->status == EFFNET_OK;
    if (checkpoint_find_last(writing->out, path, sizeof path, &found, &err) != EFFNET_OK || !found ||
        !is_whole(path, writing->step - 1))
        count->lost++;
    else if (done && read_back.state.step != writing->step)
        count->silent++;
    if (!done && !killed && !said->message[0]) count->silent++;
    static const char *const markers[] = {"last", "best"};
    for (int i = 0; i < 2; i++) { /* at most one behind: a call between the rename and the link */
        snprintf(path, sizeof path, "%s/checkpoints/%s", writing->out, markers[i]);
        if (!is_whole(path, writing->step - 2)) count->lost++;
    }
}

static void strike_checkpoints(const char *what, bool kills) {
    FaultCount count = {.what = what};
    Writing writing = {.step = 1};
    snprintf(writing.out, sizeof writing.out, "%s/%s", folder.path, kills ? "killed" : "failing");
    for (; writing.step <= 2; writing.step++) {
        said->status = EFFNET_ERROR_IO;
        TracedChild child = traced_run(write_checkpoint, &writing, 0, 0);
        need_tracing(&child);
        assert_int_equal(said->status, EFFNET_OK);
    }
    for (int times = 0; times < fault_times(); times++) {
        bool more = true;
        for (int64_t at = 1; more; at += fault_times() > 1 ? 1 : STRIDE) {
            said->status = EFFNET_ERROR_IO;
            said->message[0] = 0;
            if (kills) said->status = EFFNET_INTERRUPTED; /* unless it comes to its end */
            TracedChild child = traced_run(write_checkpoint, &writing, at, kills ? 0 : errors[times % 4]);
            more = child.struck;
            judge_checkpoints(&writing, &child, kills, &count);
            writing.step++;
            plain_run(write_checkpoint, &writing); /* nothing that was left hinders the next */
            if (said->status != EFFNET_OK) count.lost++;
            writing.step++;
            assert_true(at < 1000);
        }
    }
    assert_true(fault_report(&count));
}

static void test_checkpoint_killed(void **unused) {
    (void)unused;
    strike_checkpoints("checkpoint: killed before each call", true);
}

static void test_checkpoint_failing(void **unused) {
    (void)unused;
    if (!traced_can_fail()) skip();
    strike_checkpoints("checkpoint: each call fails", false);
}

/* ---- pack ---- */

static PackOptions packing;
static char data[300], packed[400];

static void pack(void *context) {
    (void)context;
    PackResult result;
    said->status = pack_write(&packing, &result, &err);
    if (said->status != EFFNET_OK) snprintf(said->message, sizeof said->message, "%s", err.message);
}

static Bytes read_bytes(const char *path) {
    Bytes bytes = {0};
    char *block = NULL;
    if (file_read(path, 1 << 24, &block, &bytes.size, &err) == EFFNET_OK) bytes.data = (uint8_t *)block;
    return bytes;
}

static bool same_bytes(const char *path, Bytes wanted) {
    Bytes bytes = read_bytes(path);
    bool same = bytes.data && bytes.size == wanted.size && memcmp(bytes.data, wanted.data, wanted.size) == 0;
    free(bytes.data);
    return same;
}

static void strike_pack(const char *what, bool kills, Bytes whole) {
    FaultCount count = {.what = what};
    bool more = true;
    char part[420];
    snprintf(part, sizeof part, "%s.part", packed);
    for (int64_t at = 1; more; at++) {
        unlink(packed);
        unlink(part);
        said->status = EFFNET_INTERRUPTED;
        said->message[0] = 0;
        TracedChild child = traced_run(pack, NULL, at, kills ? 0 : errors[at % 4]);
        more = child.struck;
        count.tried++;
        if (!ended_well(&child, kills)) count.silent++;
        if (path_exists(packed) && !same_bytes(packed, whole)) count.silent++; /* a part under the final name */
        if (said->status == EFFNET_OK && !same_bytes(packed, whole)) count.silent++;
        if (!kills && said->status != EFFNET_OK && !said->message[0]) count.silent++;
        if (path_exists(packed)) continue; /* finished: nothing to go on with */
        plain_run(pack, NULL);             /* goes on from what there is */
        if (said->status != EFFNET_OK) {
            print_message("call %lld: %s\n", (long long)at, said->message);
            count.lost++;
        } else if (!same_bytes(packed, whole)) {
            count.silent++;
        }
        assert_true(at < 2000);
    }
    assert_true(fault_report(&count));
}

static void test_pack(void **unused) {
    (void)unused;
    said->status = EFFNET_INTERRUPTED;
    TracedChild child = traced_run(pack, NULL, 0, 0);
    need_tracing(&child);
    if (said->status != EFFNET_OK) fail_msg("%s", said->message);
    Bytes whole = read_bytes(packed);
    assert_non_null(whole.data);
    strike_pack("pack: killed before each call", true, whole);
    if (traced_can_fail()) strike_pack("pack: each call fails", false, whole);
    free(whole.data);
}

/* ---- a run ---- */

enum { STEPS = 4 };

static char run_folder[400];

static bool never_stop(void *context, const effnet_progress *progress) {
    (void)context, (void)progress;
    return false;
}

static void train(void *context) {
    const bool *resume = context;
    effnet_recipe *recipe = NULL;
    char path[400];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder.path);
    said->status = effnet_recipe_open(path, &recipe, &err);
    const effnet_train_options options = {.struct_size = sizeof options,
                                          .data = data,
                                          .out = run_folder,
                                          .resume = *resume,
                                          .steps = STEPS,
                                          .threads = 1,
                                          .progress = never_stop};
    if (said->status == EFFNET_OK) said->status = effnet_train(recipe, &options, NULL, &err);
    if (said->status != EFFNET_OK) snprintf(said->message, sizeof said->message, "%s", err.message);
    effnet_recipe_free(recipe);
}

/* The losses that a log gives its steps; false where a line is torn or a step is missing or there twice. */
static bool read_losses(const char *path, double losses[STEPS + 1]) {
    Bytes bytes = read_bytes(path);
    int seen[STEPS + 1] = {0};
    bool good = bytes.data != NULL;
    for (char *line = (char *)bytes.data; good && line && *line;) {
        char *end = strchr(line, '\n');
        const char *step = strstr(line, "\"step\":"), *loss = strstr(line, "\"loss\":");
        good = end && end[-1] == '}' && step;
        int number = good ? atoi(step + 7) : 0;
        good = good && number >= 0 && number <= STEPS;
        if (good && loss && loss < end && !memmem(line, (size_t)(end - line), "top1", 4)) {
            seen[number]++;
            losses[number] = atof(loss + 7);
        }
        line = end ? end + 1 : NULL;
    }
    for (int step = 1; step <= STEPS; step++) good = good && seen[step] >= 1;
    free(bytes.data);
    return good;
}

static const char *const kept_files[] = {"raw.safetensors", "ema.safetensors", "slots.safetensors", "recipe.yaml"};

static void test_run(void **unused) {
    (void)unused;
    static const char text[] = "model: efficientnet_lite0\nresolution: 32\nbatch_size: 4\nepochs: 2\nwarmup_epochs: 0\n"
                               "depth_coefficient: 0.3\nlog_interval: 1\ncheckpoint:\n  every_steps: 1\n  keep: 2\n";
    char path[500], log[500];
    Bytes wanted[4];
    double losses[STEPS + 1], now[STEPS + 1];
    bool resume = false;
    snprintf(path, sizeof path, "%s/recipe.yaml", folder.path);
    scratch_write(path, text, strlen(text));
    snprintf(run_folder, sizeof run_folder, "%s/whole", folder.path);
    said->status = EFFNET_INTERRUPTED;
    TracedChild child = traced_run(train, &resume, 0, 0);
    need_tracing(&child);
    if (said->status != EFFNET_OK) fail_msg("%s", said->message);
    const int64_t calls = child.calls;
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/checkpoints/%08d/%s", run_folder, STEPS, kept_files[i]);
        wanted[i] = read_bytes(path);
        assert_non_null(wanted[i].data);
    }
    snprintf(log, sizeof log, "%s/log.jsonl", run_folder);
    assert_true(read_losses(log, losses));
    FaultCount count = {.what = "a run: killed before a call, resumed"};
    const RandomKey key = random_key(15);
    for (int i = 0; i < 3 * fault_times(); i++) {
        snprintf(run_folder, sizeof run_folder, "%s/run-%d", folder.path, i);
        int64_t at = 1 + (int64_t)(random_bits(key, (uint64_t)i) % (uint64_t)calls);
        resume = false;
        said->status = EFFNET_INTERRUPTED;
        child = traced_run(train, &resume, at, 0);
        count.tried++;
        if (!ended_well(&child, true)) count.silent++;
        bool found = false;
        snprintf(path, sizeof path, "%s/checkpoints", run_folder);
        if (path_is_folder(path) && checkpoint_find_last(run_folder, path, sizeof path, &found, &err) != EFFNET_OK)
            count.lost++;
        resume = found;
        said->status = EFFNET_INTERRUPTED;
        plain_run(train, &resume);
        if (said->status != EFFNET_OK) {
            print_message("killed before call %lld of %lld, then: %s\n", (long long)at, (long long)calls,
                          said->message);
            count.lost++;
            continue;
        }
        for (int f = 0; f < 4; f++) {
            snprintf(path, sizeof path, "%s/checkpoints/%08d/%s", run_folder, STEPS, kept_files[f]);
            if (!same_bytes(path, wanted[f])) {
                print_message("killed before call %lld of %lld, resumed: %s differs\n", (long long)at, (long long)calls,
                              kept_files[f]);
                count.silent++;
            }
        }
        snprintf(log, sizeof log, "%s/log.jsonl", run_folder);
        if (!read_losses(log, now)) {
            print_message("killed before call %lld of %lld: the log has torn lines or gaps\n", (long long)at,
                          (long long)calls);
            count.lost++;
        }
        for (int step = 1; step <= STEPS; step++) count.silent += now[step] != losses[step];
        snprintf(path, sizeof path, "%s/report/report.html", run_folder);
        if (!path_exists(path)) count.lost++;
    }
    for (int i = 0; i < 4; i++) free(wanted[i].data);
    assert_true(fault_report(&count));
}

static int set_up(void **state) {
    (void)state;
    folder = scratch_folder_create();
    said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (said == MAP_FAILED) return 1;
    small_run_create(&run, OPTIMIZER_RMSPROP, true);
    small_run_create(&read_back, OPTIMIZER_RMSPROP, true);
    for (int i = 0; i < 12; i++) {
        char name[60];
        uint8_t *pixels = pattern_picture(32 + i, 32);
        snprintf(name, sizeof name, "data/%s/%s/%d.png", i < 8 ? "train" : "val", i % 2 ? "b" : "a", i);
        place_file(&folder, name,
                   make_png(pixels, 3 * (size_t)(32 + i) * 32, 32 + i, 32, SPNG_COLOR_TYPE_TRUECOLOR, 8, NULL, NULL));
        free(pixels);
    }
    snprintf(data, sizeof data, "%s/data", folder.path);
    snprintf(packed, sizeof packed, "%s/data.effpack", folder.path);
    packing = (PackOptions){.source = data, .path = packed, .quality = 90, .workers = 1};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    small_run_free(&run);
    small_run_free(&read_back);
    munmap(said, sizeof *said);
    scratch_folder_remove(&folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint_killed),
        cmocka_unit_test(test_checkpoint_failing),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_run),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
