/* known_weights.c - see known_weights.h. */
#include "train/known_weights.h"

#include <string.h>

enum { CENTER, SQUASH };
enum { IMAGENET, HALF };

static const KnownWeights table[] = {
#define TIMM(architecture, tag, side, crop, kind, colours, mode, test_side, test_crop, file)                           \
    {NAMES_TIMM,      architecture,   tag,       side,      crop, INTERPOLATION_##kind,                                \
     colours == HALF, mode == SQUASH, test_side, test_crop, file},
#define TORCHVISION(model, tag, side, crop, kind, file)                                                                \
    {NAMES_TORCHVISION, model, tag, side, crop, INTERPOLATION_##kind, false, false, 0, 0, file},
#include "train/known_weights.def"
#undef TIMM
#undef TORCHVISION
};
enum { ROWS = sizeof table / sizeof *table };

const KnownWeights *known_weights_find(NamingStyle naming, const char *name) {
    const char *dot = strchr(name, '.');
    size_t length = dot ? (size_t)(dot - name) : strlen(name);
    for (int i = 0; i < ROWS; i++) {
        const KnownWeights *row = &table[i];
        if (row->naming == naming && strlen(row->architecture) == length &&
            strncmp(row->architecture, name, length) == 0 && (!dot || strcmp(row->tag, dot + 1) == 0))
            return row;
    }
    return NULL;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* `name` stands in the path, and no longer name does. */
static bool stands_in(const char *path, const char *name) {
    size_t length = strlen(name);
    for (const char *place = path; length && (place = strstr(place, name)); place++)
        if ((place == path || !is_word(place[-1])) && !is_word(place[length])) return true;
    return false;
}

const KnownWeights *known_weights_by_path(NamingStyle naming, const char *path) {
    for (int i = 0; i < ROWS; i++) {
        const KnownWeights *row = &table[i];
        char full[80];
        if (row->naming != naming) continue;
        if (stands_in(path, row->file)) return row;
        if (!*row->tag) continue;
        snprintf(full, sizeof full, "%s.%s", row->architecture, row->tag);
        if (stands_in(path, full)) return row;
    }
    return NULL;
}

const KnownWeights *known_weights_next(const KnownWeights *weights) {
    const KnownWeights *next = weights + 1;
    return next < table + ROWS && next->naming == weights->naming &&
                   strcmp(next->architecture, weights->architecture) == 0
               ? next
               : NULL;
}

bool known_weights_agree(const KnownWeights *a, const KnownWeights *b) {
    return a->resolution == b->resolution && !(a->crop_pct < b->crop_pct) && !(a->crop_pct > b->crop_pct) &&
           a->interpolation == b->interpolation && a->half == b->half && a->squash == b->squash;
}

const char *known_weights_model(const char *architecture) {
    return strncmp(architecture, "tf_", 3) == 0 ? architecture + 3 : architecture;
}

void known_weights_architecture(NamingStyle naming, const char *architecture, Recipe *recipe) {
    if (naming != NAMES_TIMM) return;
    bool tensorflow = strncmp(architecture, "tf_", 3) == 0;
    recipe->padding = tensorflow ? PADDING_SAME : PADDING_SYMMETRIC;
    recipe->bn_eps = tensorflow ? 1e-3 : 1e-5;
    recipe->bn_momentum = tensorflow ? 0.99 : 0.9;
}

void known_weights_pictures(const KnownWeights *weights, Recipe *recipe) {
    static const double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225};
    recipe->resolution = (PictureSize){weights->resolution, weights->resolution};
    recipe->crop_pct = weights->crop_pct;
    recipe->interpolation = weights->interpolation;
    recipe->val_crop = weights->squash ? VAL_CROP_NONE : VAL_CROP_RESIZE_SHORTER;
    recipe->mean = recipe->std = (ChannelValues){.count = 3};
    for (int c = 0; c < 3; c++) {
        recipe->mean.values[c] = weights->half ? 0.5 : mean[c];
        recipe->std.values[c] = weights->half ? 0.5 : std[c];
    }
}
