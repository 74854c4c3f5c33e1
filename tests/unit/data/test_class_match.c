/* test_class_match.c - the classes of a folder in the order of a model trained elsewhere: by name, by WordNet id, by
 * number; and refused where nothing tells which is which, instead of counted against the wrong ones. */
#include "data/sources/class_match.h"
#include "data/sources/imagenet_classes.h"
#include "scratch_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static int folders;

/* A folder of class folders with one file each, which nobody reads. */
static Dataset *open_classes(const char *const *names) {
    char root[300], path[700];
    Dataset *dataset;
    effnet_error err = {0};
    snprintf(root, sizeof root, "%s/%d", folder.path, folders++);
    assert_int_equal(mkdir(root, 0777), 0);
    for (; *names; names++) {
        snprintf(path, sizeof path, "%s/%s", root, *names);
        assert_int_equal(mkdir(path, 0777), 0);
        snprintf(path, sizeof path, "%s/%s/a.png", root, *names);
        scratch_write(path, "x", 1);
    }
    if (dataset_open(root, SPLIT_EVALUATION, NULL, &dataset, &err) != EFFNET_OK) fail_msg("%s", err.message);
    return dataset;
}
#define OPEN(...) open_classes((const char *const[]){__VA_ARGS__, NULL})

static void labels_are(Dataset *dataset, const char *const *names, int count, const int *labels, int pictures) {
    effnet_error err = {0};
    if (classes_match(dataset, names, count, "DATA", &err) != EFFNET_OK) fail_msg("%s", err.message);
    assert_int_equal(dataset_size(dataset), pictures);
    for (int i = 0; i < pictures; i++)
        if (dataset_label(dataset, i) != labels[i])
            fail_msg("picture %d has label %d, wanted %d", i, dataset_label(dataset, i), labels[i]);
    assert_int_equal(dataset_num_classes(dataset), count);
    dataset_free(dataset);
}

static void is_refused(Dataset *dataset, const char *const *names, int count, const char *part) {
    effnet_error err = {0};
    assert_true(classes_match(dataset, names, count, "DATA", &err) != EFFNET_OK);
    print_message("%s\n", err.message);
    if (!strstr(err.message, part)) fail_msg("'%s' is not in: %s", part, err.message);
    dataset_free(dataset);
}

static void imagenet_is_known(void **state) {
    (void)state;
    const int two[] = {1, 999}, crane[] = {134, 517};
    labels_are(OPEN("n01443537", "n15075141"), NULL, 1000, two, 2);
    labels_are(OPEN("goldfish", "toilet tissue"), NULL, 1000, two, 2);
    labels_are(OPEN("n02012849", "n03126707"), NULL, 1000, crane, 2);
    const char *names[IMAGENET_CLASSES], *ids[IMAGENET_CLASSES];
    for (int i = 0; i < IMAGENET_CLASSES; i++) names[i] = imagenet_name(i), ids[i] = imagenet_wordnet_id(i);
    labels_are(OPEN("n01443537", "n15075141"), names, 1000, two, 2);
    labels_are(OPEN("goldfish", "toilet tissue"), ids, 1000, two, 2);
    is_refused(OPEN("goldfish", "no such thing"), NULL, 1000, "without names");
    is_refused(OPEN("crane", "goldfish"), NULL, 1000, "without names"); /* which crane? */
    is_refused(OPEN("n01443537", "n15075141"), NULL, 999, "without names");
}

static void names_and_numbers(void **state) {
    (void)state;
    const char *names[] = {"red", "green", "blue"};
    const int named[] = {2, 0}, numbered[] = {0, 10, 2}, ordered[] = {0, 1};
    labels_are(OPEN("blue", "red"), names, 3, named, 2);
    is_refused(OPEN("blue", "pink"), names, 3, "'pink'");
    labels_are(OPEN("0", "10", "2"), NULL, 11, numbered, 3);
    labels_are(OPEN("ants", "bees"), NULL, 2, ordered, 2);
    is_refused(OPEN("ants", "bees"), NULL, 3, "model 3 without names");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imagenet_is_known),
        cmocka_unit_test(names_and_numbers),
    };
    return cmocka_run_group_tests_name("class_match", tests, set_up, tear_down);
}
