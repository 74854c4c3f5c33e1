/* contact_sheet.c - see contact_sheet.h. Cells stand on white, GAP dots apart; small pictures are shown larger, each
 * dot a square, so that there is room for their labels. Values that augmentation put outside of 0..1 (random erasing's
 * noise, bicubic's overshoot) are clipped. */
#include "data/inspect/contact_sheet.h"
#include "base/memory.h"
#include "base/number_text.h"
#include "data/feed/loader.h"
#include "data/inspect/glyphs.h"
#include "data/picture/picture_write.h"
#include "model/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 8, LEAST_CELL = 112, LINE = GLYPH_HEIGHT + 3, MOST_CELLS = 64, MOST_PIXELS = 100 << 20 };

typedef struct Sheet {
    Picture picture;
    int rows, columns;
    int cell_height, cell_width; /* of a picture in it */
    int above, below;            /* lines of text over a row, and under a cell */
} Sheet;

/* ---- drawing ---- */

/* A white sheet for pictures of such an input. */
static effnet_status sheet_create(Sheet *sheet, TensorShape input, effnet_error *err) {
    int times = input.width < LEAST_CELL ? (LEAST_CELL + input.width - 1) / input.width : 1;
    sheet->cell_height = input.height * times;
    sheet->cell_width = input.width * times;
    int64_t width = GAP + (int64_t)sheet->columns * (sheet->cell_width + GAP);
    int64_t height = GAP + (int64_t)sheet->rows * (sheet->cell_height + (sheet->above + sheet->below) * LINE + GAP);
    if (width * height > MOST_PIXELS)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "a sheet of %lld x %lld pixels is too large; take fewer rows or columns", (long long)width,
                    (long long)height);
    sheet->picture = (Picture){.height = (int)height, .width = (int)width};
    size_t size = 3 * (size_t)width * (size_t)height;
    sheet->picture.pixels = malloc(size);
    if (!sheet->picture.pixels) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a sheet of %zu bytes", size);
    memset(sheet->picture.pixels, 255, size);
    return EFFNET_OK;
}

static int row_top(const Sheet *sheet, int row) {
    return GAP + row * (sheet->cell_height + (sheet->above + sheet->below) * LINE + GAP);
}

static int cell_left(const Sheet *sheet, int column) {
    return GAP + column * (sheet->cell_width + GAP);
}

static void draw_heading(const Sheet *sheet, int row, const char *text) {
    glyphs_draw(sheet->picture.pixels, sheet->picture.width, row_top(sheet, row), GAP, sheet->picture.width - 2 * GAP,
                text);
}

static void draw_caption(const Sheet *sheet, int row, int column, int line, const char *text) {
    int y = row_top(sheet, row) + sheet->above * LINE + sheet->cell_height + 3 + line * LINE;
    glyphs_draw(sheet->picture.pixels, sheet->picture.width, y, cell_left(sheet, column), sheet->cell_width, text);
}

static void draw_levels(const Sheet *sheet, int row, int column, const Picture *levels) {
    int y = row_top(sheet, row) + sheet->above * LINE, x = cell_left(sheet, column);
    for (int i = 0; i < sheet->cell_height; i++) {
        uint8_t *out = sheet->picture.pixels + 3 * ((size_t)(y + i) * (size_t)sheet->picture.width + (size_t)x);
        const uint8_t *line =
            levels->pixels + 3 * (size_t)(i * levels->height / sheet->cell_height) * (size_t)levels->width;
        for (int k = 0; k < sheet->cell_width; k++)
            memcpy(out + 3 * k, line + 3 * (k * levels->width / sheet->cell_width), 3);
    }
}

/* Normalisation undone, as RGB. */
static void levels_of_image(const PreprocessOptions *preprocess, const float *image, const Picture *out) {
    size_t count = 3 * (size_t)out->height * (size_t)out->width;
    const size_t channels = (size_t)preprocess->transform.input.channels;
    for (size_t i = 0; i < count; i++) {
        const size_t c = channels < 3 ? 0 : i % 3; /* grey, or the first three */
        double level = image[i / 3 * channels + c] * preprocess->transform.std[c] + preprocess->transform.mean[c];
        level = level > 0 ? level * 255 + 0.5 : 0; /* NaN becomes 0 */
        out->pixels[i] = (uint8_t)(level < 255 ? level : 255);
    }
}

static void draw_labels(const Sheet *sheet, int row, int column, const Dataset *dataset, const Batch *batch, int n) {
    char text[300];
    bool mixed = batch->others && batch->shares[n] < 1;
    const char *name = dataset_class_name(dataset, batch->labels[n]);
    if (mixed)
        number_print(text, sizeof text, "%.2f %s", (double)batch->shares[n], name);
    else
        snprintf(text, sizeof text, "%s", name);
    draw_caption(sheet, row, column, 0, text);
    if (!mixed) return;
    number_print(text, sizeof text, "%.2f %s", 1 - (double)batch->shares[n],
                 dataset_class_name(dataset, batch->others[n]));
    draw_caption(sheet, row, column, 1, text);
}

/* ---- rows of batches ---- */

static effnet_status open_loader(const Recipe *recipe, const SheetOptions *options, const Dataset *dataset,
                                 Loader **loader, PreprocessOptions *preprocess, effnet_error *err) {
    ModelConfig config;
    LoaderOptions loading;
    TRY(model_config_by_name(recipe->model, &config, err));
    config.input.channels = (int)recipe->in_chans;
    if (recipe->resolution.height) {
        config.input.height = recipe->resolution.height;
        config.input.width = recipe->resolution.width;
    }
    TRY(loader_options_from_recipe(recipe, config.input, dataset, !options->validation, &loading, err));
    if (loading.batch > dataset_size(dataset)) loading.batch = (int)dataset_size(dataset);
    loading.workers = options->workers;
    loading.ahead = 1;
    loading.cache = loading.drop_remainder = false;
    *preprocess = loading.preprocess;
    return loader_create(&loading, loader, err);
}

/* Cells from (first_row, 0) on, row by row, as long as there are pictures. The sheet is made for the first of them. */
static effnet_status draw_batches(Sheet *sheet, const Recipe *recipe, const SheetOptions *options,
                                  const Dataset *dataset, int first_row, int rows, effnet_error *err) {
    Loader *loader;
    PreprocessOptions preprocess;
    TRY(open_loader(recipe, options, dataset, &loader, &preprocess, err));
    const TensorShape input = preprocess.transform.input;
    int place = 0;
    Picture levels = {.height = input.height,
                      .width = input.width,
                      .pixels = malloc((size_t)3 * (size_t)input.height * (size_t)input.width)};
    effnet_status status = levels.pixels ? EFFNET_OK : fail(err, EFFNET_ERROR_MEMORY, "no memory for a picture");
    if (status == EFFNET_OK && !sheet->picture.pixels) status = sheet_create(sheet, input, err);
    const int times = sheet->cell_height / input.height;
    if (status == EFFNET_OK && (sheet->cell_height != times * input.height || sheet->cell_width != times * input.width))
        status =
            fail(err, EFFNET_ERROR_ARGUMENT, "a row has resolution %dx%d, which does not go into the first row's %dx%d",
                 input.height, input.width, sheet->cell_height, sheet->cell_width);
    while (status == EFFNET_OK && place < rows * sheet->columns) {
        Batch batch;
        status = loader_next(loader, &batch, err);
        if (status != EFFNET_OK || !batch.size) break; /* an evaluation's end */
        for (int n = 0; n < batch.size && place < rows * sheet->columns; n++, place++) {
            int row = first_row + place / sheet->columns, column = place % sheet->columns;
            levels_of_image(&preprocess, batch.images + shape_floats(input) * (size_t)n, &levels);
            draw_levels(sheet, row, column, &levels);
            draw_labels(sheet, row, column, dataset, &batch, n);
        }
    }
    free(levels.pixels);
    loader_free(loader);
    return status;
}

/* "KEY=VALUE KEY=VALUE": changes the recipe. */
static effnet_status apply_text(Recipe *recipe, const char *text, effnet_error *err) {
    char copy[1000];
    if (strlen(text) >= sizeof copy)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a row's settings are longer than %zu bytes", sizeof copy - 1);
    snprintf(copy, sizeof copy, "%s", text);
    char *rest = copy, *setting;
    while ((setting = strsep(&rest, " "))) {
        char *equals = strchr(setting, '=');
        if (!*setting) continue;
        if (!equals || equals == setting)
            return fail(err, EFFNET_ERROR_ARGUMENT, "'%.60s' of the row '%.200s' is not KEY=VALUE", setting, text);
        *equals = 0;
        TRY(recipe_set(recipe, setting, equals + 1, err));
    }
    return EFFNET_OK;
}

static effnet_status draw_named_rows(Sheet *sheet, const Recipe *recipe, const SheetOptions *options,
                                     const Dataset *dataset, effnet_error *err) {
    for (int row = 0; row < options->num_named; row++) {
        Recipe changed = *recipe;
        TRY(apply_text(&changed, options->named[row], err));
        TRY(draw_batches(sheet, &changed, options, dataset, row, 1, err));
        draw_heading(sheet, row, options->named[row][0] ? options->named[row] : "(as the recipe is)");
    }
    return EFFNET_OK;
}

/* ---- operations ---- */

static effnet_status draw_operations(Sheet *sheet, const AugmentPolicy *policy, const Picture *plain,
                                     effnet_error *err) {
    size_t size = 3 * (size_t)plain->height * (size_t)plain->width;
    Picture changed = {.height = plain->height, .width = plain->width, .pixels = malloc(size)};
    uint8_t *scratch = malloc(size);
    effnet_status status =
        changed.pixels && scratch ? EFFNET_OK : fail(err, EFFNET_ERROR_MEMORY, "no memory for a picture");
    for (int kind = 0; status == EFFNET_OK && kind < AUGMENT_KINDS; kind++)
        for (int column = 0; column < sheet->columns; column++) {
            double share = sheet->columns > 1 ? (double)column / (sheet->columns - 1) : 1;
            AugmentStyle style;
            AugmentOperation operation =
                augment_policy_operation(policy, (AugmentKind)kind, share, plain->height, plain->width, &style);
            char text[64];
            memcpy(changed.pixels, plain->pixels, size);
            augment_apply(&operation, &style, &changed, &scratch);
            draw_levels(sheet, kind, column, &changed);
            number_print(text, sizeof text, augment_has_argument((AugmentKind)kind) ? "%s %.3g" : "%s",
                         augment_name((AugmentKind)kind), operation.argument);
            draw_caption(sheet, kind, column, 0, text);
        }
    free(changed.pixels);
    free(scratch);
    return status;
}

/* The first picture as training crops it, without any augmentation; then each operation. */
static effnet_status draw_operations_of_first(Sheet *sheet, const Recipe *recipe, const SheetOptions *options,
                                              const Dataset *dataset, effnet_error *err) {
    Recipe bare = *recipe;
    AugmentPolicy policy;
    Loader *loader;
    PreprocessOptions preprocess;
    Batch batch;
    TRY(augment_policy_from_recipe(recipe, &policy, err));
    bare.aa[0] = 0;
    bare.color_jitter = bare.grayscale_prob = bare.reprob = bare.mixup = bare.cutmix = 0;
    TRY(open_loader(&bare, options, dataset, &loader, &preprocess, err));
    const TensorShape input = preprocess.transform.input;
    Picture plain = {.height = input.height,
                     .width = input.width,
                     .pixels = malloc((size_t)3 * (size_t)input.height * (size_t)input.width)};
    effnet_status status = plain.pixels ? EFFNET_OK : fail(err, EFFNET_ERROR_MEMORY, "no memory for a picture");
    if (status == EFFNET_OK) status = loader_next(loader, &batch, err);
    if (status == EFFNET_OK && !batch.size) status = fail(err, EFFNET_ERROR_FORMAT, "no picture could be read");
    if (status == EFFNET_OK) status = sheet_create(sheet, input, err);
    if (status == EFFNET_OK) {
        levels_of_image(&preprocess, batch.images, &plain);
        status = draw_operations(sheet, &policy, &plain, err);
    }
    free(plain.pixels);
    loader_free(loader);
    return status;
}

/* ---- all together ---- */

static effnet_status check_options(const SheetOptions *options, int rows, effnet_error *err) {
    if (rows < 1 || options->columns < 1 || rows > MOST_CELLS || options->columns > MOST_CELLS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a sheet of %d rows and %d columns; allowed are 1 to %d each", rows,
                    options->columns, (int)MOST_CELLS);
    if (options->operations && options->num_named)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a sheet of operations has no other rows: one or the other");
    return EFFNET_OK;
}

effnet_status contact_sheet_write(const Recipe *recipe, const SheetOptions *options, effnet_error *err) {
    Sheet sheet = {.rows = options->operations  ? AUGMENT_KINDS
                           : options->num_named ? options->num_named
                                                : options->rows,
                   .columns = options->columns,
                   .above = options->num_named ? 1 : 0,
                   .below = options->operations ? 1 : 2};
    Dataset *dataset;
    TRY(check_options(options, sheet.rows, err));
    TRY(dataset_open_with(options->source, options->validation ? SPLIT_EVALUATION : SPLIT_TRAIN, recipe->train_split,
                          recipe->val_split, &dataset, err));
    effnet_status status = options->operations  ? draw_operations_of_first(&sheet, recipe, options, dataset, err)
                           : options->num_named ? draw_named_rows(&sheet, recipe, options, dataset, err)
                                                : draw_batches(&sheet, recipe, options, dataset, 0, sheet.rows, err);
    if (status == EFFNET_OK) status = picture_write(&sheet.picture, options->path, err);
    free(sheet.picture.pixels);
    dataset_free(dataset);
    return status;
}
