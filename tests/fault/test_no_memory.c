/* No memory: every Nth allocation of the library fails, alone or with all that follow, while data is opened and read, a
 * recipe and a model opened, pictures classified, a data set packed and a run trained. Each time there is an error that
 * says something, or the result of an undisturbed run; never a crash and never a wait without end. The linker puts the
 * functions below before the C library's (--wrap, tests/CMakeLists.txt); what other libraries allocate does not fail. */
#include "base/crc32c.h"
#include "base/file.h"
#include "base/random.h"
#include "data/inspect/pack_write.h"
#include "data/sources/dataset.h"
#include "effnet.h"
#include "fault/fault_count.h"
#include "unit/data/make_pictures.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- allocations that fail ---- */

static atomic_bool armed;
static atomic_long allocations;
static long first_denied, last_denied;

static bool denied(void) {
    if (!atomic_load(&armed)) return false;
    long number = atomic_fetch_add(&allocations, 1) + 1;
    if (number < first_denied || number > last_denied) return false;
    errno = ENOMEM;
    return true;
}

#define WRAPPED(type, name, nothing, parameters, arguments)                                                            \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters {                                                                                    \
        return denied() ? nothing : __real_##name arguments;                                                           \
    }
WRAPPED(void *, malloc, NULL, (size_t size), (size))
WRAPPED(void *, calloc, NULL, (size_t count, size_t size), (count, size))
WRAPPED(void *, realloc, NULL, (void *old, size_t size), (old, size))
WRAPPED(void *, aligned_alloc, NULL, (size_t alignment, size_t size), (alignment, size))
WRAPPED(char *, strdup, NULL, (const char *text), (text))
WRAPPED(char *, strndup, NULL, (const char *text, size_t size), (text, size))
WRAPPED(FILE *, fopen, NULL, (const char *path, const char *mode), (path, mode))
WRAPPED(FILE *, fdopen, NULL, (int descriptor, const char *mode), (descriptor, mode))
WRAPPED(FILE *, open_memstream, NULL, (char **text, size_t *size), (text, size))
WRAPPED(DIR *, opendir, NULL, (const char *path), (path))
WRAPPED(ssize_t, getline, -1, (char **text, size_t *capacity, FILE *stream), (text, capacity, stream))

/* ---- what is tried ---- */

/* What a child says of itself; `sum` stands for its result. */
typedef struct Said {
    bool ended, told; /* told: a loss or a warning beside a result */
    effnet_status status;
    uint32_t sum;
    long allocations;
    char message[600];
} Said;
static Said *said;

static ScratchFolder folder;
static effnet_error err;
static char data[300], recipe_path[300], run_folder[300], checkpoint[400];

static uint32_t sum_of_file(const char *path) {
    char *bytes;
    size_t size;
    if (file_read(path, 1 << 26, &bytes, &size, NULL) != EFFNET_OK) return 0;
    uint32_t sum = crc32c(0, bytes, size);
    free(bytes);
    return sum;
}

static effnet_status read_data(void) {
    Dataset *dataset;
    effnet_status status = dataset_open_with(data, SPLIT_TRAIN, NULL, "100%", &dataset, &err);
    if (status != EFFNET_OK) return status;
    said->told = dataset_lost(dataset) > 0;
    said->sum = (uint32_t)dataset_size(dataset);
    for (int64_t i = 0; status == EFFNET_OK && i < dataset_size(dataset); i++) {
        Picture picture;
        status = dataset_read(dataset, i, &picture, &err);
        if (status != EFFNET_OK) break;
        said->sum = crc32c(said->sum, picture.pixels, 3 * (size_t)picture.height * (size_t)picture.width);
        picture_free(&picture);
    }
    dataset_free(dataset);
    return status;
}

static effnet_status pack_data(void) {
    char path[400], part[420];
    PackResult result;
    snprintf(path, sizeof path, "%s/packed.effpack", folder.path);
    snprintf(part, sizeof part, "%s.part", path);
    unlink(path);
    unlink(part);
    const PackOptions options = {.source = data, .path = path, .quality = 90, .workers = 2};
    effnet_status status = pack_write(&options, &result, &err);
    atomic_store(&armed, false);
    said->told = status == EFFNET_OK && result.skipped > 0;
    if (status == EFFNET_OK) said->sum = sum_of_file(path);
    return status;
}

static bool hear(void *context, const effnet_progress *progress) {
    (void)context;
    bool remark = strcmp(progress->phase, "data") == 0 || strcmp(progress->phase, "run") == 0;
    if (progress->message && !remark) said->told = true;
    return false;
}

static effnet_status train_into(const char *out) {
    effnet_recipe *recipe = NULL;
    effnet_status status = effnet_recipe_open(recipe_path, &recipe, &err);
    const effnet_train_options options = {.struct_size = sizeof options,
                                          .data = data,
                                          .out = out,
                                          .steps = 1,
                                          .threads = 2,
                                          .progress = hear,
                                          .memory_anyway = true};
    if (status == EFFNET_OK) status = effnet_train(recipe, &options, NULL, &err);
    effnet_recipe_free(recipe);
    return status;
}

static effnet_status train(void) {
    char out[400], path[600];
    snprintf(out, sizeof out, "%s/run-%ld-%ld", folder.path, first_denied, last_denied);
    effnet_status status = train_into(out);
    atomic_store(&armed, false);
    snprintf(path, sizeof path, "%s/checkpoints/00000001/ema.safetensors", out);
    if (status == EFFNET_OK) said->sum = sum_of_file(path);
    return status;
}

static effnet_status classify(void) {
    effnet_model *model = NULL;
    char path[500];
    effnet_prediction predictions[2];
    const effnet_model_options options = {.struct_size = sizeof options, .threads = 2};
    snprintf(path, sizeof path, "%s/train/a/0.png", data);
    effnet_status status = effnet_model_open(checkpoint, &options, &model, &err);
    if (status == EFFNET_OK) status = effnet_predict_file(model, path, predictions, 2, &err);
    for (int i = 0; status == EFFNET_OK && i < 2; i++) {
        said->sum = crc32c(said->sum, &predictions[i].probability, sizeof predictions[i].probability);
        said->sum = crc32c(said->sum, predictions[i].label, strlen(predictions[i].label));
    }
    effnet_model_free(model);
    return status;
}

/* In a child of its own; `first` 0: nothing fails. */
static int attempt(effnet_status (*operation)(void), long first, long last) {
    int status;
    *said = (Said){0};
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(300);
        first_denied = first ? first : LONG_MAX;
        last_denied = last;
        atomic_store(&armed, true);
        effnet_status result = operation();
        atomic_store(&armed, false);
        said->status = result;
        said->allocations = atomic_load(&allocations);
        if (result != EFFNET_OK) snprintf(said->message, sizeof said->message, "%s", err.message);
        said->ended = true;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static bool campaign(const char *what, effnet_status (*operation)(void), int points) {
    FaultCount count = {.what = what};
    attempt(operation, 0, 0);
    if (!said->ended || said->status != EFFNET_OK) fail_msg("%s, undisturbed: %s", what, said->message);
    const Said whole = *said;
    assert_true(whole.allocations > 10);
    const RandomKey key = random_key((uint64_t)whole.allocations);
    points *= fault_times();
    for (int i = 0; i < points; i++) {
        long at = whole.allocations <= points ? i % whole.allocations + 1
                                              : (long)(random_bits(key, (uint64_t)i) % (uint64_t)whole.allocations) + 1;
        bool alone = i % 2 == 0;
        int status = attempt(operation, at, alone ? at : LONG_MAX);
        count.tried++;
        if (!said->ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            print_message("%s: allocation %ld%s fails: status %x\n", what, at, alone ? "" : " and all after it",
                          status);
            count.lost++;
        } else if (said->status == EFFNET_OK ? said->sum != whole.sum && !said->told : !said->message[0]) {
            print_message("%s: allocation %ld%s fails: another result without a word\n", what, at,
                          alone ? "" : " and all after it");
            count.silent++;
        }
    }
    return fault_report(&count);
}

static void test_allocations(void **unused) {
    (void)unused;
    bool good = campaign("no memory: data opened and read", read_data, 80);
    good = campaign("no memory: pack", pack_data, 40) && good;
    good = campaign("no memory: a run of one step", train, 30) && good;
    snprintf(run_folder, sizeof run_folder, "%s/made", folder.path);
    if (train_into(run_folder) != EFFNET_OK) fail_msg("%s", err.message);
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoints/00000001", run_folder);
    good = campaign("no memory: a model opened, a picture", classify, 60) && good;
    assert_true(good);
}

static int set_up(void **state) {
    (void)state;
    static const char text[] = "model: efficientnet_lite0\nresolution: 32\nbatch_size: 4\nepochs: 1\nwarmup_epochs: 0\n"
                               "depth_coefficient: 0.3\n";
    folder = scratch_folder_create();
    said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (said == MAP_FAILED) return 1;
    snprintf(data, sizeof data, "%s/data", folder.path);
    for (int i = 0; i < 8; i++) {
        char name[60];
        uint8_t *pixels = pattern_picture(32 + i, 32);
        snprintf(name, sizeof name, "data/%s/%s/%d.%s", i < 4 ? "train" : "val", i % 2 ? "b" : "a", i % 4 / 2 * 2,
                 i < 6 ? "png" : "jpg");
        place_file(
            &folder, name,
            i < 6 ? make_png(pixels, 3 * (size_t)(32 + i) * 32, 32 + i, 32, SPNG_COLOR_TYPE_TRUECOLOR, 8, NULL, NULL)
                  : make_jpeg(pixels, 32 + i, 32, TJPF_RGB, TJSAMP_420, 0));
        free(pixels);
    }
    snprintf(recipe_path, sizeof recipe_path, "%s/recipe.yaml", folder.path);
    scratch_write(recipe_path, text, strlen(text));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    munmap(said, sizeof *said);
    scratch_folder_remove(&folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_allocations)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
