/* contact_sheet.c - see contact_sheet.h. Cells stand on white, GAP dots apart; small pictures are shown larger, each
 * dot a square, so that there is room for their labels. Values that augmentation put outside of 0..1 (random erasing's
 * noise, bicubic's overshoot) are clipped. */
#include "data/contact_sheet.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/glyphs.h"
#include "data/loader.h"
#include "model/network.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 8, LEAST_CELL = 112, LINE = GLYPH_HEIGHT + 3, MOST_CELLS = 64, MOST_PIXELS = 100 << 20 };

typedef struct Sheet {
    const PreprocessOptions *preprocess;
    int columns, height, width, cell, times; /* times: dots of the sheet for one of a picture */
    uint8_t *pixels;
} Sheet;

static void draw_image(const Sheet *sheet, const float *image, int y, int x) {
    int side = sheet->preprocess->resolution;
    for (int row = 0; row < sheet->cell; row++) {
        uint8_t *out = sheet->pixels + 3 * ((size_t)(y + row) * (size_t)sheet->width + (size_t)x);
        const float *line = image + 3 * (size_t)(row / sheet->times) * (size_t)side;
        for (int column = 0; column < sheet->cell; column++)
            for (int c = 0; c < 3; c++) {
                double level =
                    line[3 * (column / sheet->times) + c] * sheet->preprocess->std[c] + sheet->preprocess->mean[c];
                level = level > 0 ? level * 255 + 0.5 : 0; /* NaN becomes 0 */
                *out++ = (uint8_t)(level < 255 ? level : 255);
            }
    }
}

static void draw_cell(const Sheet *sheet, const Dataset *dataset, const Batch *batch, int n, int place) {
    int y = GAP + place / sheet->columns * (sheet->cell + 2 * LINE + GAP);
    int x = GAP + place % sheet->columns * (sheet->cell + GAP), below = y + sheet->cell + 3;
    size_t side = (size_t)sheet->preprocess->resolution;
    char text[300];
    draw_image(sheet, batch->images + 3 * side * side * (size_t)n, y, x);
    bool mixed = batch->others && batch->shares[n] < 1;
    const char *name = dataset_class_name(dataset, batch->labels[n]);
    if (mixed)
        snprintf(text, sizeof text, "%.2f %s", (double)batch->shares[n], name);
    else
        snprintf(text, sizeof text, "%s", name);
    glyphs_draw(sheet->pixels, sheet->width, below, x, sheet->cell, text);
    if (!mixed) return;
    snprintf(text, sizeof text, "%.2f %s", 1 - (double)batch->shares[n], dataset_class_name(dataset, batch->others[n]));
    glyphs_draw(sheet->pixels, sheet->width, below + LINE, x, sheet->cell, text);
}

static effnet_status write_png(const Sheet *sheet, const char *path, effnet_error *err) {
    struct spng_ihdr header = {.width = (uint32_t)sheet->width,
                               .height = (uint32_t)sheet->height,
                               .bit_depth = 8,
                               .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    struct spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!context) return fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", path);
    AtomicFile file = {0};
    effnet_status status = atomic_file_open(&file, path, err);
    if (status == EFFNET_OK) {
        size_t size = 3 * (size_t)sheet->width * (size_t)sheet->height;
        int failed = spng_set_png_file(context, file.stream);
        if (!failed) failed = spng_set_ihdr(context, &header);
        if (!failed) failed = spng_encode_image(context, sheet->pixels, size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
        if (failed) status = fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", path, spng_strerror(failed));
        if (status == EFFNET_OK) status = atomic_file_commit(&file, err);
        atomic_file_abort(&file);
    }
    spng_ctx_free(context);
    return status;
}

static effnet_status fill_sheet(const Sheet *sheet, const Dataset *dataset, Loader *loader, int cells,
                                effnet_error *err) {
    for (int place = 0; place < cells;) {
        Batch batch;
        TRY(loader_next(loader, &batch, err));
        if (!batch.size) break; /* an evaluation's end */
        for (int n = 0; n < batch.size && place < cells; n++) draw_cell(sheet, dataset, &batch, n, place++);
    }
    return EFFNET_OK;
}

static effnet_status make_sheet(const Recipe *recipe, const SheetOptions *options, const Dataset *dataset,
                                effnet_error *err) {
    ModelConfig config;
    TRY(model_config_by_name(recipe->model, &config, err));
    int64_t pictures = dataset_size(dataset), batch = recipe->batch_size;
    LoaderOptions loading = {.dataset = dataset,
                             .training = !options->validation,
                             .mix = mix_from_recipe(recipe),
                             .repeats = (int)recipe->aug_repeats,
                             .batch = (int)(batch < pictures ? batch : pictures),
                             .workers = options->workers,
                             .ahead = 1,
                             .seed = (uint64_t)recipe->seed,
                             .bad_images = recipe->bad_images};
    preprocess_from_recipe(recipe, recipe->resolution ? (int)recipe->resolution : config.resolution,
                           &loading.preprocess);
    TRY(preprocess_augment_from_recipe(recipe, &loading.preprocess, err));
    int side = loading.preprocess.resolution;
    Sheet sheet = {.preprocess = &loading.preprocess, .columns = options->columns};
    sheet.times = side < LEAST_CELL ? (LEAST_CELL + side - 1) / side : 1;
    sheet.cell = side * sheet.times;
    sheet.width = GAP + options->columns * (sheet.cell + GAP);
    sheet.height = GAP + options->rows * (sheet.cell + 2 * LINE + GAP);
    if ((int64_t)sheet.width * sheet.height > MOST_PIXELS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a sheet of %d x %d pixels is too large; take fewer rows or columns",
                    sheet.width, sheet.height);
    size_t size = 3 * (size_t)sheet.width * (size_t)sheet.height;
    sheet.pixels = malloc(size);
    if (!sheet.pixels) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a sheet of %zu bytes", size);
    memset(sheet.pixels, 255, size);
    Loader *loader;
    effnet_status status = loader_create(&loading, &loader, err);
    if (status == EFFNET_OK) {
        status = fill_sheet(&sheet, dataset, loader, options->rows * options->columns, err);
        loader_free(loader);
    }
    if (status == EFFNET_OK) status = write_png(&sheet, options->path, err);
    free(sheet.pixels);
    return status;
}

effnet_status contact_sheet_write(const Recipe *recipe, const SheetOptions *options, effnet_error *err) {
    if (options->rows < 1 || options->columns < 1 || options->rows > MOST_CELLS || options->columns > MOST_CELLS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a sheet of %d rows and %d columns; allowed are 1 to %d each",
                    options->rows, options->columns, (int)MOST_CELLS);
    Dataset *dataset;
    TRY(dataset_open(options->source, options->validation ? SPLIT_VALIDATION : SPLIT_TRAIN,
                     options->validation ? recipe->val_split : recipe->train_split, &dataset, err));
    effnet_status status = make_sheet(recipe, options, dataset, err);
    dataset_free(dataset);
    return status;
}
