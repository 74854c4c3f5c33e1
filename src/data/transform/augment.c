/* augment.c - one operation by its kind; names. */
#include "data/transform/augment.h"

#include <string.h>

static const char *const names[AUGMENT_KINDS] = {
#define OPERATION(suffix, name, argument) [AUGMENT_##suffix] = name,
#include "data/transform/augment_operations.def"
#undef OPERATION
};

const char *augment_name(AugmentKind kind) {
    return names[kind];
}

bool augment_has_argument(AugmentKind kind) {
    static const char *const arguments[AUGMENT_KINDS] = {
#define OPERATION(suffix, name, argument) [AUGMENT_##suffix] = argument,
#include "data/transform/augment_operations.def"
#undef OPERATION
    };
    return strcmp(arguments[kind], "none") != 0;
}

bool augment_find(const char *name, AugmentKind *out) {
    for (int kind = 0; kind < AUGMENT_KINDS; kind++)
        if (strcmp(names[kind], name) == 0) {
            *out = (AugmentKind)kind;
            return true;
        }
    return false;
}

static void exchange(Picture *picture, uint8_t **scratch) {
    uint8_t *made = *scratch;
    *scratch = picture->pixels;
    picture->pixels = made;
}

/* The operations that read other pixels than the one they write. */
static bool apply_to_scratch(const AugmentOperation *operation, const AugmentStyle *style, const Picture *picture,
                             uint8_t *out) {
    double argument = operation->argument;
    switch (operation->kind) {
    case AUGMENT_ROTATE:
        augment_rotate(picture, argument, style, out);
        return true;
    case AUGMENT_SHEAR_X:
        augment_affine(picture, (const double[6]){1, argument, 0, 0, 1, 0}, style, out);
        return true;
    case AUGMENT_SHEAR_Y:
        augment_affine(picture, (const double[6]){1, 0, 0, argument, 1, 0}, style, out);
        return true;
    case AUGMENT_TRANSLATE_X:
        augment_affine(picture, (const double[6]){1, 0, argument, 0, 1, 0}, style, out);
        return true;
    case AUGMENT_TRANSLATE_Y:
        augment_affine(picture, (const double[6]){1, 0, 0, 0, 1, argument}, style, out);
        return true;
    case AUGMENT_SHARPNESS:
        augment_sharpness(picture, (float)argument, style->reference, out);
        return true;
    default:
        return false;
    }
}

void augment_apply(const AugmentOperation *operation, const AugmentStyle *style, Picture *picture, uint8_t **scratch) {
    double argument = operation->argument;
    if (apply_to_scratch(operation, style, picture, *scratch)) {
        exchange(picture, scratch);
        return;
    }
    switch (operation->kind) {
    case AUGMENT_AUTO_CONTRAST:
        augment_auto_contrast(picture, style->reference);
        break;
    case AUGMENT_EQUALIZE:
        augment_equalize(picture);
        break;
    case AUGMENT_INVERT:
        augment_invert(picture);
        break;
    case AUGMENT_POSTERIZE:
        augment_posterize(picture, (int)argument, style->reference);
        break;
    case AUGMENT_SOLARIZE:
        augment_solarize(picture, argument, style->reference);
        break;
    case AUGMENT_SOLARIZE_ADD:
        augment_solarize_add(picture, (int)argument);
        break;
    case AUGMENT_COLOR:
        augment_color(picture, (float)argument, style->reference);
        break;
    case AUGMENT_CONTRAST:
        augment_contrast(picture, (float)argument, style->reference);
        break;
    case AUGMENT_BRIGHTNESS:
        augment_brightness(picture, (float)argument);
        break;
    case AUGMENT_CUTOUT:
        augment_cutout(picture, operation->center_y, operation->center_x, (int)argument, style->fill);
        break;
    default: /* AUGMENT_IDENTITY */
        break;
    }
}
