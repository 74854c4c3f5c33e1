/* test_augment.c - every operation against what TensorFlow's official code and Pillow made of a picture by formula
 * (tests/golden/make_augment.py): within one level; the ends of the ranges and the smallest pictures. */
#include "data/transform/augment.h"
#include "golden/augment_cases.h"
#include "make_pictures.h"

enum { HEIGHT = 24, WIDTH = 32, SIZE = 3 * HEIGHT * WIDTH };

static const char cases_path[] = EFFNET_SOURCE_DIR "/tests/golden/augment_cases.txt";

/* make_augment.py's level(). */
static uint8_t golden_level(int y, int x, int channel) {
    return (uint8_t)(20 + pattern_level(y, x, channel) * 3 / 4);
}

static void fill_golden(uint8_t *pixels) {
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++) *pixels++ = golden_level(y, x, c);
}

/* The largest distance, and where. */
static int farthest(const uint8_t *got, const uint8_t *want, int *place) {
    int most = -1;
    for (int i = 0; i < SIZE; i++) {
        int distance = abs(got[i] - want[i]);
        if (distance <= most) continue;
        most = distance;
        *place = i;
    }
    return most;
}

static void operations_equal_their_references(void **state) {
    (void)state;
    FILE *cases = fopen(cases_path, "r");
    gzFile golden = gzopen(EFFNET_SOURCE_DIR "/tests/golden/augment.gz", "rb");
    assert_non_null(cases);
    assert_non_null(golden);
    uint8_t *scratch = malloc(SIZE), want[SIZE];
    Picture picture = {.height = HEIGHT, .width = WIDTH, .pixels = malloc(SIZE)};
    AugmentCase item;
    int count = 0, wrong = 0, exact = 0, seen[AUGMENT_KINDS] = {0};
    while (augment_case_read(cases, &item)) {
        int place = 0;
        assert_int_equal(gzread(golden, want, SIZE), SIZE);
        fill_golden(picture.pixels);
        augment_apply(&item.operation, &item.style, &picture, &scratch);
        int distance = farthest(picture.pixels, want, &place);
        if (!(distance <= 1)) {
            fprintf(stderr, "FAIL '%s': level %d at (%d,%d,%d), want %d\n", item.text, picture.pixels[place],
                    place / (3 * WIDTH), place / 3 % WIDTH, place % 3, want[place]);
            wrong++;
        }
        exact += distance == 0;
        seen[item.operation.kind]++;
        count++;
    }
    assert_string_equal(item.text, ""); /* every line was understood */
    assert_int_equal(gzread(golden, want, 1), 0);
    assert_int_equal(wrong, 0);
    for (int kind = AUGMENT_IDENTITY + 1; kind < AUGMENT_KINDS; kind++) assert_true(seen[kind] >= 2);
    fprintf(stderr, "%d of %d cases equal in every level\n", exact, count);
    assert_true(exact > count * 8 / 10);
    gzclose(golden);
    fclose(cases);
    free(scratch);
    free(picture.pixels);
}

/* What must leave a picture as it is, in both styles. */
static void neutral_arguments_change_nothing(void **state) {
    (void)state;
    static const AugmentOperation neutral[] = {
        {.kind = AUGMENT_IDENTITY},
        {.kind = AUGMENT_ROTATE},
        {.kind = AUGMENT_POSTERIZE, .argument = 8},
        {.kind = AUGMENT_SOLARIZE, .argument = 255},
        {.kind = AUGMENT_SOLARIZE_ADD},
        {.kind = AUGMENT_COLOR, .argument = 1},
        {.kind = AUGMENT_CONTRAST, .argument = 1},
        {.kind = AUGMENT_BRIGHTNESS, .argument = 1},
        {.kind = AUGMENT_SHARPNESS, .argument = 1},
        {.kind = AUGMENT_SHEAR_X},
        {.kind = AUGMENT_SHEAR_Y},
        {.kind = AUGMENT_TRANSLATE_X},
        {.kind = AUGMENT_TRANSLATE_Y},
        {.kind = AUGMENT_CUTOUT, .center_y = 5, .center_x = 5},
    };
    uint8_t *scratch = malloc(SIZE), want[SIZE];
    Picture picture = {.height = HEIGHT, .width = WIDTH, .pixels = malloc(SIZE)};
    fill_golden(want);
    for (int reference = AA_OPS_TENSORFLOW; reference <= AA_OPS_PILLOW; reference++)
        for (AugmentSampling sampling = SAMPLING_NEAREST; sampling <= SAMPLING_BICUBIC; sampling++)
            for (size_t i = 0; i < sizeof neutral / sizeof *neutral; i++) {
                AugmentStyle style = {.reference = reference, .sampling = sampling, .fill = {1, 2, 3}};
                fill_golden(picture.pixels);
                augment_apply(&neutral[i], &style, &picture, &scratch);
                assert_memory_equal(picture.pixels, want, SIZE);
            }
    free(scratch);
    free(picture.pixels);
}

/* Shapes of one and two pixels, flat pictures, arguments far outside: no read or write out of bounds (the sanitizers
 * watch), and a picture moved away wholly is the fill colour. */
static void extremes_are_harmless(void **state) {
    (void)state;
    static const int shapes[][2] = {{1, 1}, {1, 7}, {7, 1}, {2, 2}, {3, 3}};
    static const double arguments[] = {0, 1, -1, 300, -300, 1e5, -1e5};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int height = shapes[s][0], width = shapes[s][1];
        size_t size = 3 * (size_t)(height * width);
        Picture picture = {.height = height, .width = width, .pixels = malloc(size)};
        uint8_t *scratch = malloc(size);
        for (int kind = 0; kind < AUGMENT_KINDS; kind++)
            for (size_t a = 0; a < 7; a++)
                for (int style_number = 0; style_number < 6; style_number++) {
                    AugmentOperation operation = {.kind = (AugmentKind)kind, .argument = arguments[a]};
                    AugmentStyle style = {.reference = style_number % 2,
                                          .sampling = (AugmentSampling)(style_number / 2),
                                          .fill = {9, 8, 7}};
                    memset(picture.pixels, 100, size);
                    augment_apply(&operation, &style, &picture, &scratch);
                    bool moved = (kind == AUGMENT_TRANSLATE_X || kind == AUGMENT_TRANSLATE_Y) && a >= 3;
                    for (size_t i = 0; moved && i < size; i++) assert_int_equal(picture.pixels[i], 9 - i % 3);
                }
        free(picture.pixels);
        free(scratch);
    }
}

static void names_lead_back(void **state) {
    (void)state;
    AugmentKind found;
    for (int kind = 0; kind < AUGMENT_KINDS; kind++) {
        assert_true(augment_find(augment_name((AugmentKind)kind), &found));
        assert_int_equal(found, kind);
    }
    assert_false(augment_find("shearX", &found));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_equal_their_references),
        cmocka_unit_test(neutral_arguments_change_nothing),
        cmocka_unit_test(extremes_are_harmless),
        cmocka_unit_test(names_lead_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
