/* test_data_check.c - bad pictures, duplicates and counts are found, all of them and no others; a contact sheet shows
 * the loader's own pictures. */
#include "data/transform/augment.h"
#include "data/picture/decode.h"
#include "data/inspect/contact_sheet.h"
#include "data/inspect/data_check.h"
#include "make_pictures.h"

typedef struct Found {
    int counts[CHECK_REMARK + 1];
    char last[CHECK_REMARK + 1][600];
} Found;

static void note(void *context, CheckFinding finding, const char *text) {
    Found *found = context;
    found->counts[finding]++;
    snprintf(found->last[finding], sizeof found->last[0], "%s", text);
}

static Bytes noisy(int seed) {
    uint8_t *pixels = pattern_picture(20, 24);
    for (int i = 0; i < 3 * 20 * 24; i++) pixels[i] = (uint8_t)(pixels[i] * (seed + 3));
    Bytes bytes = make_png(pixels, 3 * 20 * 24, 20, 24, 2, 8, NULL, NULL);
    free(pixels);
    return bytes;
}

static void everything_is_found(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    for (int i = 0; i < 12; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%s/%d.png", i < 8 ? "train" : "test", i % 2 ? "b" : "a", i);
        place_file(&folder, name, noisy(i));
    }
    place_file(&folder, "train/a/broken.png", (Bytes){(uint8_t *)strdup("\x89PNG\r\n\x1a\n"), 8});
    place_file(&folder, "train/b/twin.png", noisy(1));  /* of 1.png */
    place_file(&folder, "train/b/other.png", noisy(0)); /* of a/0.png, and called b */
    place_file(&folder, "test/a/leaked.png", noisy(2)); /* of train/a/2.png */
    for (int workers = 1; workers <= 3; workers += 2) {
        Found found = {0};
        CheckReport report;
        effnet_error err = {0};
        const CheckOptions options = {.source = folder.path, .workers = workers, .found = note, .context = &found};
        if (data_check(&options, &report, &err) != EFFNET_OK) fail_msg("%s", err.message);
        assert_int_equal(report.classes, 2);
        assert_string_equal(report.class_names[1], "b");
        assert_int_equal(report.pictures[0], 11);
        assert_int_equal(report.pictures[1], 5);
        assert_int_equal(report.counts[0][0], 4);
        assert_int_equal(report.counts[0][1], 6);
        assert_int_equal(report.counts[1][0], 3);
        assert_int_equal(report.bad[0], 1);
        assert_int_equal(report.bad[1], 0);
        assert_int_equal(report.duplicates, 2);
        assert_int_equal(report.duplicates_across, 1);
        assert_int_equal(report.duplicates_labels, 1);
        assert_int_equal(found.counts[CHECK_BAD], 1);
        assert_non_null(strstr(found.last[CHECK_BAD], "broken.png"));
        assert_non_null(strstr(found.last[CHECK_DUPLICATE_ACROSS], "train/a/2.png' and '"));
        assert_non_null(strstr(found.last[CHECK_DUPLICATE_ACROSS], "leaked.png"));
        assert_non_null(strstr(found.last[CHECK_DUPLICATE_LABELS], "other.png"));
        check_report_free(&report);
    }
    scratch_folder_remove(&folder);
}

/* One class of one colour each: the cells of the sheet have it, whatever was cropped, and a label under them. */
static void a_sheet_shows_the_pictures(void **state) {
    (void)state;
    ScratchFolder folder = scratch_folder_create();
    char png[512];
    place_file(&folder, "a/1.jpg", make_plain_jpeg(40, 40, 200, 30, 90));
    place_file(&folder, "b/1.jpg", make_plain_jpeg(40, 40, 10, 160, 220));
    snprintf(png, sizeof png, "%s", scratch_path(&folder, "a.png"));
    Recipe recipe;
    effnet_error err = {0};
    recipe_defaults(&recipe);
    assert_int_equal(recipe_set(&recipe, "resolution", "32", &err), EFFNET_OK);
    SheetOptions options = {
        .source = folder.path, .path = png, .validation = true, .rows = 1, .columns = 3, .workers = 1};
    if (contact_sheet_write(&recipe, &options, &err) != EFFNET_OK) fail_msg("%s", err.message);
    Picture sheet;
    assert_int_equal(picture_read(png, &sheet, &err), EFFNET_OK);
    enum { CELL = 128 }; /* 32 x 32, four times as large */
    assert_int_equal(sheet.width, 8 + 3 * (CELL + 8));
    const int wanted[2][3] = {{200, 30, 90}, {10, 160, 220}};
    for (int cell = 0; cell < 2; cell++) {
        const uint8_t *pixel =
            sheet.pixels + 3 * ((size_t)(8 + CELL / 2) * (size_t)sheet.width + (size_t)(8 + cell * (CELL + 8) + 64));
        for (int c = 0; c < 3; c++)
            if (abs(pixel[c] - wanted[cell][c]) > 4)
                fail_msg("cell %d, channel %d: %d, wanted %d", cell, c, pixel[c], wanted[cell][c]);
        int black = 0;
        for (int y = 8 + CELL; y < sheet.height; y++)
            for (int x = 0; x < 6; x++) black += sheet.pixels[3 * (y * sheet.width + 8 + cell * (CELL + 8) + x)] == 0;
        assert_true(black >= 8 && black < 30);
    }
    const uint8_t *empty = sheet.pixels + 3 * ((size_t)50 * (size_t)sheet.width + (size_t)(8 + 2 * (CELL + 8) + 64));
    assert_int_equal(empty[0], 255); /* two pictures, three cells */
    picture_free(&sheet);
    options.rows = 0;
    assert_int_equal(contact_sheet_write(&recipe, &options, &err), EFFNET_ERROR_ARGUMENT);
    scratch_folder_remove(&folder);
}

/* The centre of cell (row, column) of a sheet whose rows are `pitch` apart, `above` lines below the row's top. */
static const uint8_t *cell_centre(const Picture *sheet, int row, int column, int pitch, int above, int cell) {
    int y = 8 + row * pitch + 10 * above + cell / 2, x = 8 + column * (cell + 8) + cell / 2;
    return sheet->pixels + 3 * ((size_t)y * (size_t)sheet->width + (size_t)x);
}

/* Rows with settings of their own show the same pictures; a row for each operation shows what it does. */
static void a_sheet_with_named_rows(void **state) {
    (void)state;
    enum { CELL = 128, PITCH = CELL + 3 * 10 + 8 };
    ScratchFolder folder = scratch_folder_create();
    char path[512];
    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/%d.jpg", i);
        place_file(&folder, name, make_plain_jpeg(40, 40, 40 * i, 200 - 30 * i, 90));
    }
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "rows.png"));
    Recipe recipe;
    effnet_error err = {0};
    recipe_defaults(&recipe);
    assert_int_equal(recipe_set(&recipe, "resolution", "32", &err), EFFNET_OK);
    const char *const rows[] = {"", "train_crop=center  hflip=0", "grayscale_prob=1"};
    SheetOptions options = {
        .source = folder.path, .path = path, .columns = 3, .workers = 1, .named = rows, .num_named = 3};
    if (contact_sheet_write(&recipe, &options, &err) != EFFNET_OK) fail_msg("%s", err.message);
    Picture sheet;
    assert_int_equal(picture_read(path, &sheet, &err), EFFNET_OK);
    assert_int_equal(sheet.height, 8 + 3 * PITCH);
    for (int column = 0; column < 3; column++) {
        const uint8_t *plain = cell_centre(&sheet, 0, column, PITCH, 1, CELL);
        const uint8_t *central = cell_centre(&sheet, 1, column, PITCH, 1, CELL);
        const uint8_t *grey = cell_centre(&sheet, 2, column, PITCH, 1, CELL);
        for (int c = 0; c < 3; c++) assert_true(abs(plain[c] - central[c]) <= 2);
        assert_true(plain[0] != plain[2] && grey[0] == grey[1] && grey[1] == grey[2]);
    }
    picture_free(&sheet);
    const char *const wrong[] = {"aa=v9", "grayscale_prob", "resolution=48", "nothing=1"};
    static const char *const wanted[] = {"aa is 'v9'", "is not KEY=VALUE", "does not go into the first row's 128",
                                         "unknown key"};
    for (int i = 0; i < 4; i++) {
        const char *const two[] = {"", wrong[i]};
        options.named = two;
        options.num_named = 2;
        assert_int_not_equal(contact_sheet_write(&recipe, &options, &err), EFFNET_OK);
        if (!strstr(err.message, wanted[i])) fail_msg("wanted '%s', got '%s'", wanted[i], err.message);
    }
    scratch_folder_remove(&folder);
}

static void a_sheet_of_operations(void **state) {
    (void)state;
    enum { CELL = 128, PITCH = CELL + 10 + 8 };
    ScratchFolder folder = scratch_folder_create();
    char path[512];
    place_file(&folder, "a/1.jpg", make_plain_jpeg(40, 40, 200, 100, 60));
    snprintf(path, sizeof path, "%s", scratch_path(&folder, "operations.jpg"));
    Recipe recipe;
    effnet_error err = {0};
    recipe_defaults(&recipe);
    assert_int_equal(recipe_set(&recipe, "resolution", "32", &err), EFFNET_OK);
    assert_int_equal(recipe_set(&recipe, "aa", "randaug-n2-m9", &err), EFFNET_OK);
    SheetOptions options = {.source = folder.path, .path = path, .columns = 3, .workers = 1, .operations = true};
    if (contact_sheet_write(&recipe, &options, &err) != EFFNET_OK) fail_msg("%s", err.message);
    Picture sheet;
    FILE *stream = fopen(path, "rb");
    assert_int_equal(fgetc(stream), 0xFF); /* a JPEG, as its name says */
    fclose(stream);
    assert_int_equal(picture_read(path, &sheet, &err), EFFNET_OK);
    assert_int_equal(sheet.height, 8 + AUGMENT_KINDS * PITCH);
    static const struct {
        AugmentKind kind;
        int column, wanted[3];
    } cells[] = {{AUGMENT_IDENTITY, 0, {200, 100, 60}},    {AUGMENT_INVERT, 1, {55, 155, 195}},
                 {AUGMENT_SOLARIZE, 1, {55, 100, 60}},     {AUGMENT_SOLARIZE_ADD, 2, {200, 210, 170}},
                 {AUGMENT_BRIGHTNESS, 0, {20, 10, 6}},     {AUGMENT_POSTERIZE, 2, {192, 96, 48}},
                 {AUGMENT_TRANSLATE_X, 2, {128, 128, 128}}};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        const uint8_t *got = cell_centre(&sheet, (int)cells[i].kind, cells[i].column, PITCH, 0, CELL);
        for (int c = 0; c < 3; c++)
            if (!(abs(got[c] - cells[i].wanted[c]) <= 4))
                fail_msg("%s, column %d, channel %d: %d, wanted %d", augment_name(cells[i].kind), cells[i].column, c,
                         got[c], cells[i].wanted[c]);
    }
    picture_free(&sheet);
    const char *const rows[] = {""};
    options.named = rows;
    options.num_named = 1;
    assert_int_equal(contact_sheet_write(&recipe, &options, &err), EFFNET_ERROR_ARGUMENT);
    scratch_folder_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_found), cmocka_unit_test(a_sheet_shows_the_pictures),
        cmocka_unit_test(a_sheet_with_named_rows), cmocka_unit_test(a_sheet_of_operations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
