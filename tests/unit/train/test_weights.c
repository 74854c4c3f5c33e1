/* Weights in files: bit for bit there and back, the card with them, files of other programs understood by their
 * shapes, and a message that says what a wrong file looks like. */
#include "base/file.h"
#include "compare.h"
#include "format/safetensors.h"
#include "scratch_fixture.h"
#include "small_run.h"
#include "train/card.h"
#include "train/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

static void expect(effnet_status got, effnet_status wanted, const effnet_error *err, const char *part) {
    if (got != wanted || !strstr(err->message, part))
        fail_msg("status %d (wanted %d), message \"%s\", wanted \"%s\" in it", got, wanted, err->message, part);
}

static void test_round_trip(void **unused) {
    (void)unused;
    SmallRun run;
    effnet_error err = {0};
    small_run_create(&run, OPTIMIZER_SGD, false);
    small_run_fill(&run, 7);
    const char *path = scratch_path(&folder, "round.safetensors");
    char *names[5] = {"cat", "d\303\266g", "bad\377byte", "tab\t\"quote\"", ""};
    run.card.class_names = names;
    run.card.step = 1234567890123;
    run.card.config.padding = MODEL_PADDING_SYMMETRIC;
    run.card.config.bn_eps = 1e-5;
    run.card.config.bn_momentum = 0.9;
    run.card.config.bn_unbiased = true;
    run.card.transform.mean[1] = 0.1;
    run.card.transform.val_crop = VAL_CROP_RESIZE_SHORTER;
    run.card.transform.interpolation = INTERPOLATION_BILINEAR;
    expect(weights_write(path, &run.network, run.state.parameters, run.state.statistics, &run.card, &err), EFFNET_OK,
           &err, "");

    ModelCard card;
    expect(weights_read_card(path, &card, &err), EFFNET_OK, &err, "");
    assert_string_equal(card.config.name, "efficientnet_b0");
    assert_int_equal(card.config.num_classes, 5);
    assert_int_equal(card.config.padding, MODEL_PADDING_SYMMETRIC);
    assert_true(card.config.bn_eps == 1e-5 && card.config.bn_momentum == 0.9 && card.config.bn_unbiased);
    assert_int_equal(card.transform.input.height, 32);
    assert_int_equal(card.config.input.height, 32);
    assert_memory_equal(card.transform.mean, run.card.transform.mean, sizeof card.transform.mean);
    assert_memory_equal(card.transform.std, run.card.transform.std, sizeof card.transform.std);
    assert_true(card.transform.crop_pct == run.card.transform.crop_pct);
    assert_int_equal(card.transform.interpolation, INTERPOLATION_BILINEAR);
    assert_int_equal(card.transform.val_crop, VAL_CROP_RESIZE_SHORTER);
    assert_int_equal(card.transform.pad_to, 32);
    assert_int_equal(card.step, 1234567890123);
    assert_string_equal(card.class_names[1], names[1]);
    assert_string_equal(card.class_names[2], "bad\357\277\275byte"); /* U+FFFD */
    assert_string_equal(card.class_names[3], names[3]);
    assert_string_equal(card.class_names[4], "");
    model_card_free(&card);
    model_card_free(&card); /* twice is harmless */

    TrainState back;
    expect(train_state_create(&run.network, &run.recipe, &back, &err), EFFNET_OK, &err, "");
    bool head_kept = true;
    expect(weights_read(path, &run.network, back.parameters, back.statistics, true, &head_kept, &err), EFFNET_OK, &err,
           "");
    assert_false(head_kept);
    assert_true(
        compare_bits("parameters", back.parameters, run.state.parameters, run.network.parameter_floats, NULL, 0));
    assert_true(
        compare_bits("statistics", back.statistics, run.state.statistics, run.network.statistic_floats, NULL, 0));
    train_state_free(&back);
    small_run_free(&run);
}

/* A network of a known name and its first values. */
typedef struct Known {
    Network network;
    float *parameters, *statistics;
} Known;

static Known known_create(const char *name, int classes) {
    Known known;
    ModelConfig config;
    effnet_error err = {0};
    expect(model_config_by_name(name, &config, &err), EFFNET_OK, &err, "");
    config.num_classes = classes;
    expect(network_build(&config, &known.network, &err), EFFNET_OK, &err, "");
    known.parameters = calloc(known.network.parameter_floats, sizeof(float));
    known.statistics = calloc(known.network.statistic_floats, sizeof(float));
    assert_true(known.parameters && known.statistics);
    for (size_t i = 0; i < known.network.parameter_floats; i++) known.parameters[i] = (float)i;
    return known;
}

static void known_free(Known *known) {
    free(known->parameters);
    free(known->statistics);
    network_free(&known->network);
}

/* As timm writes them: no metadata of ours, a count of batches beside each batch norm; `skip` left out. */
static void write_as_timm(const char *path, const Known *known, const char *skip, const char *extra) {
    const Network *network = &known->network;
    SafetensorsEntry *entries =
        calloc((size_t)(network->num_parameters + 2 * network->num_statistics + 1), sizeof *entries);
    char(*names)[120] = calloc((size_t)network->num_statistics, sizeof *names);
    assert_true(entries && names);
    float batches = 12;
    int count = 0;
    for (int i = 0; i < network->num_parameters + network->num_statistics; i++) {
        bool parameter = i < network->num_parameters;
        const Parameter *p = parameter ? &network->parameters[i] : &network->statistics[i - network->num_parameters];
        if (skip && strstr(p->name, skip)) continue;
        entries[count++] = (SafetensorsEntry){
            p->name, p->rank, p->shape, (parameter ? known->parameters : known->statistics) + p->offset, p->count};
        if (p->role == ROLE_RUNNING_MEAN) {
            char *name = names[i - network->num_parameters];
            snprintf(name, sizeof *names, "%.*s.num_batches_tracked", (int)(strrchr(p->name, '.') - p->name), p->name);
            entries[count++] = (SafetensorsEntry){name, 0, NULL, &batches, 1};
        }
    }
    if (extra) entries[count++] = (SafetensorsEntry){extra, 0, NULL, &batches, 1};
    effnet_error err = {0};
    const char *const metadata[] = {"format", "pt", NULL};
    expect(safetensors_write(path, entries, count, metadata, &err), EFFNET_OK, &err, "");
    free(names);
    free(entries);
}

static void test_without_card(void **unused) {
    (void)unused;
    char path[300];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "timm.safetensors"));
    static const struct {
        const char *name;
        int resolution;
    } models[] = {{"efficientnet_b0", 224},    {"efficientnet_b1", 240},    {"efficientnet_b2", 260},
                  {"efficientnet_lite0", 224}, {"efficientnet_lite1", 240}, {"efficientnet_lite4", 300}};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        Known known = known_create(models[i].name, 17);
        write_as_timm(path, &known, NULL, NULL);
        ModelCard card;
        effnet_error err = {0};
        expect(weights_read_card(path, &card, &err), EFFNET_OK, &err, "");
        assert_string_equal(card.config.name, models[i].name);
        assert_int_equal(card.config.num_classes, 17);
        assert_int_equal(card.transform.input.height, models[i].resolution);
        assert_true(card.transform.mean[0] == 0.485 && card.transform.crop_pct == 0.875);
        assert_null(card.class_names);
        Known back = known_create(models[i].name, 17);
        memset(back.parameters, 0, back.network.parameter_floats * sizeof(float));
        expect(weights_read(path, &back.network, back.parameters, back.statistics, false, NULL, &err), EFFNET_OK, &err,
               "");
        assert_true(
            compare_bits("weights", back.parameters, known.parameters, known.network.parameter_floats, NULL, 0));
        known_free(&back);
        known_free(&known);
    }
}

static void test_other_model(void **unused) {
    (void)unused;
    char path[300], wanted[500];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "b0.safetensors"));
    Known b0 = known_create("efficientnet_b0", 1000), b1 = known_create("efficientnet_b1", 1000);
    Known b3 = known_create("efficientnet_b3", 1000), lite = known_create("efficientnet_lite0", 1000);
    effnet_error err = {0};
    write_as_timm(path, &b0, NULL, NULL);
    float first = b3.parameters[5];
    snprintf(wanted, sizeof wanted,
             "%s: conv_stem.weight is [32,3,3,3], efficientnet_b3 needs [40,3,3,3]; this file looks like "
             "efficientnet_b0",
             path);
    expect(weights_read(path, &b3.network, b3.parameters, b3.statistics, true, NULL, &err), EFFNET_ERROR_FORMAT, &err,
           wanted);
    assert_true(b3.parameters[5] == first); /* nothing was changed */
    expect(weights_read(path, &b1.network, b1.parameters, b1.statistics, true, NULL, &err), EFFNET_ERROR_FORMAT, &err,
           "there is no tensor blocks.0.1.");
    expect(weights_read(path, &lite.network, lite.parameters, lite.statistics, true, NULL, &err), EFFNET_ERROR_FORMAT,
           &err, "this file looks like efficientnet_b0");
    /* B1 has all that B0 has, in the same shapes, and more */
    write_as_timm(path, &b1, NULL, NULL);
    expect(weights_read(path, &b0.network, b0.parameters, b0.statistics, true, NULL, &err), EFFNET_ERROR_FORMAT, &err,
           "is none of efficientnet_b0's; this file looks like efficientnet_b1");
    write_as_timm(path, &b0, "blocks.2", NULL);
    expect(weights_read(path, &b0.network, b0.parameters, b0.statistics, true, NULL, &err), EFFNET_ERROR_FORMAT, &err,
           "looks like no model known here");
    ModelCard card;
    expect(weights_read_card(path, &card, &err), EFFNET_ERROR_FORMAT, &err, "holds no model known here");
    write_as_timm(path, &b0, NULL, "aux.weight");
    expect(weights_read(path, &b0.network, b0.parameters, b0.statistics, true, NULL, &err), EFFNET_ERROR_FORMAT, &err,
           "the tensor aux.weight is none of efficientnet_b0's");
    known_free(&b0);
    known_free(&b1);
    known_free(&b3);
    known_free(&lite);
}

static void test_other_head(void **unused) {
    (void)unused;
    char path[300];
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "head.safetensors"));
    Known file = known_create("efficientnet_b0", 1000), ours = known_create("efficientnet_b0", 10);
    effnet_error err = {0};
    bool statistic, kept = false;
    const Parameter *head = network_find(&ours.network, "classifier.weight", &statistic);
    for (int missing = 0; missing < 2; missing++) {
        write_as_timm(path, &file, missing ? "classifier" : NULL, NULL);
        for (size_t i = 0; i < ours.network.parameter_floats; i++) ours.parameters[i] = -1;
        expect(weights_read(path, &ours.network, ours.parameters, ours.statistics, false, &kept, &err),
               EFFNET_ERROR_FORMAT, &err,
               missing ? "there is no tensor classifier.weight"
                       : "classifier.weight is [1000,1280], efficientnet_b0 needs [10,1280]; it was trained for 1000 "
                         "classes, not 10");
        assert_null(strstr(err.message, "looks like"));
        assert_true(ours.parameters[0] == -1);
        expect(weights_read(path, &ours.network, ours.parameters, ours.statistics, true, &kept, &err), EFFNET_OK, &err,
               "");
        assert_true(kept);
        assert_true(ours.parameters[3] == 3.0f);
        for (size_t i = 0; i < head->count; i++) assert_true(ours.parameters[head->offset + i] == -1);
    }
    known_free(&file);
    known_free(&ours);
}

/* One tensor and metadata: everything a card can lie about. */
static void test_lying_card(void **unused) {
    (void)unused;
    SmallRun run;
    effnet_error err = {0};
    small_run_create(&run, OPTIMIZER_SGD, false);
    const char *path = scratch_path(&folder, "lie.safetensors");
    static const char *const good[] = {"effnet.model",
                                       "efficientnet_b0",
                                       "effnet.num_classes",
                                       "2",
                                       "effnet.resolution",
                                       "64",
                                       "effnet.in_chans",
                                       "3",
                                       "effnet.padding",
                                       "same",
                                       "effnet.bn_eps",
                                       "0.001",
                                       "effnet.bn_momentum",
                                       "0.99",
                                       "effnet.bn_variance",
                                       "biased",
                                       "effnet.mean",
                                       "[0.5,0.5,0.5]",
                                       "effnet.std",
                                       "[1,1,1]",
                                       "effnet.crop_pct",
                                       "1",
                                       "effnet.interpolation",
                                       "bicubic",
                                       "effnet.val_crop",
                                       "none",
                                       "effnet.pad_to",
                                       "0",
                                       "effnet.step",
                                       "0",
                                       "effnet.class_names",
                                       "[\"a\",\"b\"]",
                                       NULL};
    static const char *const bad[][3] = {
        {"effnet.model", "efficientnet_b9", "unknown model 'efficientnet_b9'"},
        {"effnet.num_classes", "2000000000", "allowed: whole numbers 1 to 100000"},
        {"effnet.num_classes", "2.0", "whole numbers"},
        {"effnet.num_classes", "3", "not a list of 3 names"},
        {"effnet.num_classes", "", "whole numbers"},
        {"effnet.resolution", "0", "allowed: whole numbers 1 to 2048"},
        {"effnet.resolution", "[64,0]", "or two of them in brackets, rows first"},
        {"effnet.resolution", "[64]", "rows first"},
        {"effnet.in_chans", "17", "allowed: whole numbers 1 to 16"},
        {"effnet.in_chans", "4", "as many as in_chans numbers"},
        {"effnet.padding", "valid", "is 'valid'; allowed: same, symmetric"},
        {"effnet.bn_eps", "0", "allowed: numbers"},
        {"effnet.bn_eps", "NaN", "allowed: numbers"},
        {"effnet.bn_momentum", "1e400", "allowed: numbers"},
        {"effnet.bn_variance", "", "biased, unbiased"},
        {"effnet.mean", "[0.5,0.5]", "three numbers"},
        {"effnet.mean", "[0.5,0.5,\"x\"]", "three numbers"},
        {"effnet.std", "[0,1,1]", "three numbers"},
        {"effnet.crop_pct", "2", "allowed: numbers"},
        {"effnet.interpolation", "nearest", "bilinear, bicubic"},
        {"effnet.val_crop", "Center", "center, none, resize_shorter"},
        {"effnet.pad_to", "-1", "whole numbers"},
        {"effnet.step", "-1", "whole numbers"},
        {"effnet.class_names", "[\"a\",2]", "is not a string"},
        {"effnet.class_names", "{}", "not a list of 2 names"},
    };
    float value = 0;
    SafetensorsEntry entry = {"x", 0, NULL, &value, 1};
    ModelCard card;
    for (size_t b = 0; b <= sizeof bad / sizeof bad[0]; b++) {
        const char *metadata[40];
        memcpy(metadata, good, sizeof good);
        bool changed = b < sizeof bad / sizeof bad[0];
        for (int i = 0; changed && good[i]; i += 2)
            if (strcmp(good[i], bad[b][0]) == 0) metadata[i + 1] = bad[b][1];
        expect(safetensors_write(path, &entry, 1, metadata, &err), EFFNET_OK, &err, "");
        expect(weights_read_card(path, &card, &err), changed ? EFFNET_ERROR_FORMAT : EFFNET_OK, &err,
               changed ? bad[b][2] : "");
        if (changed) assert_null(card.class_names);
        if (changed) assert_non_null(strstr(err.message, "lie.safetensors"));
        model_card_free(&card);
    }
    const char *only[] = {"effnet.model", "efficientnet_b0", NULL};
    expect(safetensors_write(path, &entry, 1, only, &err), EFFNET_OK, &err, "");
    expect(weights_read_card(path, &card, &err), EFFNET_ERROR_FORMAT, &err, "lacks 'effnet.num_classes'");
    small_run_free(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_without_card), cmocka_unit_test(test_other_model),
        cmocka_unit_test(test_other_head), cmocka_unit_test(test_lying_card),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
