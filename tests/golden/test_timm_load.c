/* timm and we read each other's weights and compute the same logits. This program writes weights and logits, and has
 * check_timm_load.py load them into timm (strictly); then the script writes a file as timm's users do, and this program
 * reads it. Skipped (77) where no Python with timm is found: EFFNET_PYTHON, /work/venv/bin/python, python3. */
#include "base/file.h"
#include "base/random.h"
#include "compare.h"
#include "engine/engine.h"
#include "format/safetensors.h"
#include "model/initialize.h"
#include "scratch_folder.h"
#include "train/card.h"
#include "train/model_card.h"
#include "train/weights.h"

#include <sys/wait.h>

enum { IMAGES = 3, SIDE = 64, PIXELS = IMAGES * SIDE * SIDE * 3 };

static effnet_error err;

static void must(effnet_status status) {
    if (status == EFFNET_OK) return;
    fprintf(stderr, "FAIL: %s\n", err.message);
    exit(1);
}

/* Exit status of a Python program with up to three arguments; 127 where there is no such Python. */
static int run_script(const char *python, const char *a, const char *b, const char *c) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        execlp(python, python, EFFNET_SOURCE_DIR "/tests/golden/check_timm_load.py", a, b, c, (char *)NULL);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 1;
    return WEXITSTATUS(status);
}

static float *floats(size_t count) {
    float *block = calloc(count, sizeof *block);
    if (!block) exit(1);
    return block;
}

static void forward(const Network *network, const float *images, const float *parameters, float *statistics,
                    float *logits) {
    ThreadTeam *team;
    Engine *engine;
    must(thread_team_create(2, &team, &err));
    must(engine_create(&cpu_engine, network, &(EngineOptions){.batch = IMAGES, .team = team}, &engine, &err));
    must(engine_forward(
        engine,
        &(EngineForward){
            .batch = IMAGES, .images = images, .parameters = parameters, .statistics = statistics, .logits = logits},
        &err));
    engine_free(engine);
    thread_team_free(team);
}

static void write_example(const char *path, const char *model, int padding, int classes, uint64_t seed) {
    ModelCard card = {
        .transform = {.input = {SIDE, SIDE, 3}, .crop_pct = 0.875, .mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}}};
    must(model_config_by_name(model, &card.config, &err));
    card.config.padding = padding;
    card.config.num_classes = classes;
    card.config.input = (TensorShape){SIDE, SIDE, 3};
    Network network;
    must(network_build(&card.config, &network, &err));
    float *parameters = floats(network.parameter_floats), *statistics = floats(network.statistic_floats);
    float *images = floats(PIXELS), *logits = floats((size_t)IMAGES * (size_t)classes);
    network_initialize(&network, &(InitializeOptions){.seed = seed}, parameters, statistics);
    RandomKey key = random_key(seed);
    for (size_t i = 0; i < PIXELS; i++) images[i] = random_normal(key, i);
    key = random_fold_in(key, 1);
    for (int p = 0; p < network.num_parameters; p++) {
        const Parameter *parameter = &network.parameters[p];
        for (size_t i = parameter->offset; i < parameter->offset + parameter->count; i++)
            if (parameter->role == ROLE_BN_SCALE)
                parameters[i] = 0.5f + random_uniform(key, i);
            else if (parameter->role == ROLE_BN_BIAS || parameter->role == ROLE_BIAS)
                parameters[i] = 0.1f * random_normal(key, i);
    }
    key = random_fold_in(key, 2);
    for (int s = 0; s < network.num_statistics; s++) {
        const Parameter *statistic = &network.statistics[s];
        for (size_t i = statistic->offset; i < statistic->offset + statistic->count; i++)
            statistics[i] =
                statistic->role == ROLE_RUNNING_MEAN ? 0.1f * random_normal(key, i) : 0.5f + random_uniform(key, i);
    }
    forward(&network, images, parameters, statistics, logits);
    must(weights_write(path, &network, parameters, statistics, &card, &err));
    char beside[600];
    snprintf(beside, sizeof beside, "%s.logits", path);
    SafetensorsEntry entries[2] = {{"images", 4, (int[]){IMAGES, SIDE, SIDE, 3}, images, PIXELS},
                                   {"logits", 2, (int[]){IMAGES, classes}, logits, (size_t)(IMAGES * classes)}};
    must(safetensors_write(beside, entries, 2, NULL, &err));
    free(parameters);
    free(statistics);
    free(images);
    free(logits);
    network_free(&network);
}

static void read_tensor(const char *path, const char *name, float *values, size_t count) {
    Safetensors *file;
    must(safetensors_open(path, &file, &err));
    int index = safetensors_find(file, name);
    if (index < 0) exit(1);
    must(safetensors_read(file, index, values, count, &err));
    safetensors_close(file);
}

/* A file of timm: no card, counts of batches beside the statistics. */
static bool check_timm_file(const char *path) {
    ModelCard card;
    must(weights_read_card(path, &card, &err));
    if (strcmp(card.config.name, "efficientnet_b0") != 0 || card.config.num_classes != 11) {
        fprintf(stderr, "FAIL: timm's tf_efficientnet_b0 taken for %s of %d classes\n", card.config.name,
                card.config.num_classes);
        return false;
    }
    card.config.input = (TensorShape){SIDE, SIDE, 3};
    Network network;
    must(network_build(&card.config, &network, &err));
    float *parameters = floats(network.parameter_floats), *statistics = floats(network.statistic_floats);
    float *images = floats(PIXELS), got[IMAGES * 11], want[IMAGES * 11];
    char beside[600];
    snprintf(beside, sizeof beside, "%s.logits", path);
    must(weights_read(path, &network, parameters, statistics, false, NULL, &err));
    read_tensor(beside, "images", images, PIXELS);
    read_tensor(beside, "logits", want, IMAGES * 11);
    forward(&network, images, parameters, statistics, got);
    bool good = compare_floats("logits of timm's weights", got, want, IMAGES * 11, (int[]){IMAGES, 11}, 2, 1e-4);
    free(parameters);
    free(statistics);
    free(images);
    network_free(&network);
    model_card_free(&card);
    return good;
}

int main(void) {
    const char *pythons[] = {getenv("EFFNET_PYTHON"), "/work/venv/bin/python", "python3"};
    ScratchFolder folder = scratch_folder_create();
    char same[300], symmetric[300], lite[300], timm[300];
    snprintf(same, sizeof same, "%s/same.safetensors", folder.path);
    snprintf(symmetric, sizeof symmetric, "%s/symmetric.safetensors", folder.path);
    snprintf(lite, sizeof lite, "%s/lite.safetensors", folder.path);
    snprintf(timm, sizeof timm, "%s/timm.safetensors", folder.path);
    int result = 77;
    const char *python = NULL;
    for (int i = 0; i < 3 && (result == 77 || result == 127); i++) {
        if (!pythons[i] || !*pythons[i]) continue;
        python = pythons[i];
        result = run_script(python, "--make", timm, NULL);
    }
    if (result == 77 || result == 127) {
        printf("skipped: no Python with timm, torch and safetensors; name one in EFFNET_PYTHON\n");
        result = 77;
    } else if (result == 0) {
        write_example(same, "efficientnet_b0", MODEL_PADDING_SAME, 10, 1);
        write_example(symmetric, "efficientnet_b0", MODEL_PADDING_SYMMETRIC, 7, 2);
        write_example(lite, "efficientnet_lite0", MODEL_PADDING_SAME, 5, 3);
        result = run_script(python, same, symmetric, lite);
        if (!check_timm_file(timm)) result = 1;
    }
    scratch_folder_remove(&folder);
    return result;
}
