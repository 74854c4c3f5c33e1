/* augment_policy.c - see augment_policy.h. Magnitudes go from 0 to 10, "levels" of the published code; the tables below
 * say what an operation makes of one. Sources: google/automl efficientnetv2/autoaugment.py, timm
 * data/auto_augment.py, torchvision transforms/autoaugment.py.
 *
 * Numbers of a place's key: which operation, whether, sign, magnitude, sampling, centre of a cutout. */
#include "data/transform/augment_policy.h"

#include "base/number_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DRAW_WHICH,
    DRAW_WHETHER,
    DRAW_SIGN,
    DRAW_MAGNITUDE,
    DRAW_SAMPLING,
    DRAW_CENTER_Y,
    DRAW_CENTER_X,
    STREAM_JITTER = 0x6A697474, /* "jitt": apart from the places of a policy */
    STREAM_GREY = 0x67726579,   /* "grey" */
};

static const double full_magnitude = 10;

/* ---- AutoAugment v0 ---- */

typedef struct PolicyStep {
    AugmentKind kind;
    double probability, magnitude;
} PolicyStep;

static const PolicyStep auto_v0[25][2] = {
    {{AUGMENT_EQUALIZE, 0.8, 1}, {AUGMENT_SHEAR_Y, 0.8, 4}},
    {{AUGMENT_COLOR, 0.4, 9}, {AUGMENT_EQUALIZE, 0.6, 3}},
    {{AUGMENT_COLOR, 0.4, 1}, {AUGMENT_ROTATE, 0.6, 8}},
    {{AUGMENT_SOLARIZE, 0.8, 3}, {AUGMENT_EQUALIZE, 0.4, 7}},
    {{AUGMENT_SOLARIZE, 0.4, 2}, {AUGMENT_SOLARIZE, 0.6, 2}},
    {{AUGMENT_COLOR, 0.2, 0}, {AUGMENT_EQUALIZE, 0.8, 8}},
    {{AUGMENT_EQUALIZE, 0.4, 8}, {AUGMENT_SOLARIZE_ADD, 0.8, 3}},
    {{AUGMENT_SHEAR_X, 0.2, 9}, {AUGMENT_ROTATE, 0.6, 8}},
    {{AUGMENT_COLOR, 0.6, 1}, {AUGMENT_EQUALIZE, 1.0, 2}},
    {{AUGMENT_INVERT, 0.4, 9}, {AUGMENT_ROTATE, 0.6, 0}},
    {{AUGMENT_EQUALIZE, 1.0, 9}, {AUGMENT_SHEAR_Y, 0.6, 3}},
    {{AUGMENT_COLOR, 0.4, 7}, {AUGMENT_EQUALIZE, 0.6, 0}},
    {{AUGMENT_POSTERIZE, 0.4, 6}, {AUGMENT_AUTO_CONTRAST, 0.4, 7}},
    {{AUGMENT_SOLARIZE, 0.6, 8}, {AUGMENT_COLOR, 0.6, 9}},
    {{AUGMENT_SOLARIZE, 0.2, 4}, {AUGMENT_ROTATE, 0.8, 9}},
    {{AUGMENT_ROTATE, 1.0, 7}, {AUGMENT_TRANSLATE_Y, 0.8, 9}},
    {{AUGMENT_SHEAR_X, 0.0, 0}, {AUGMENT_SOLARIZE, 0.8, 4}},
    {{AUGMENT_SHEAR_Y, 0.8, 0}, {AUGMENT_COLOR, 0.6, 4}},
    {{AUGMENT_COLOR, 1.0, 0}, {AUGMENT_ROTATE, 0.6, 2}},
    {{AUGMENT_EQUALIZE, 0.8, 4}, {AUGMENT_EQUALIZE, 0.0, 8}},
    {{AUGMENT_EQUALIZE, 1.0, 4}, {AUGMENT_AUTO_CONTRAST, 0.6, 2}},
    {{AUGMENT_SHEAR_Y, 0.4, 7}, {AUGMENT_SOLARIZE_ADD, 0.6, 7}},
    {{AUGMENT_POSTERIZE, 0.8, 2}, {AUGMENT_SOLARIZE, 0.6, 10}},
    {{AUGMENT_SOLARIZE, 0.6, 8}, {AUGMENT_EQUALIZE, 0.6, 1}},
    {{AUGMENT_COLOR, 0.8, 6}, {AUGMENT_ROTATE, 0.4, 5}},
};

/* ---- the sets that are drawn from ---- */

static const AugmentKind randaug_set[16] = {
    AUGMENT_AUTO_CONTRAST, AUGMENT_EQUALIZE,    AUGMENT_INVERT,  AUGMENT_ROTATE,
    AUGMENT_POSTERIZE,     AUGMENT_SOLARIZE,    AUGMENT_COLOR,   AUGMENT_CONTRAST,
    AUGMENT_BRIGHTNESS,    AUGMENT_SHARPNESS,   AUGMENT_SHEAR_X, AUGMENT_SHEAR_Y,
    AUGMENT_TRANSLATE_X,   AUGMENT_TRANSLATE_Y, AUGMENT_CUTOUT,  AUGMENT_SOLARIZE_ADD};

static const AugmentKind timm_set[15] = {
    AUGMENT_AUTO_CONTRAST, AUGMENT_EQUALIZE,     AUGMENT_INVERT,  AUGMENT_ROTATE,      AUGMENT_POSTERIZE,
    AUGMENT_SOLARIZE,      AUGMENT_SOLARIZE_ADD, AUGMENT_COLOR,   AUGMENT_CONTRAST,    AUGMENT_BRIGHTNESS,
    AUGMENT_SHARPNESS,     AUGMENT_SHEAR_X,      AUGMENT_SHEAR_Y, AUGMENT_TRANSLATE_X, AUGMENT_TRANSLATE_Y};

static const AugmentKind trivial_set[14] = {
    AUGMENT_IDENTITY,  AUGMENT_SHEAR_X,    AUGMENT_SHEAR_Y,       AUGMENT_TRANSLATE_X, AUGMENT_TRANSLATE_Y,
    AUGMENT_ROTATE,    AUGMENT_BRIGHTNESS, AUGMENT_COLOR,         AUGMENT_CONTRAST,    AUGMENT_SHARPNESS,
    AUGMENT_POSTERIZE, AUGMENT_SOLARIZE,   AUGMENT_AUTO_CONTRAST, AUGMENT_EQUALIZE};

/* ---- from a magnitude to an argument ---- */

static bool is_symmetric(AugmentKind kind) {
    return kind == AUGMENT_ROTATE || kind == AUGMENT_SHEAR_X || kind == AUGMENT_SHEAR_Y ||
           kind == AUGMENT_TRANSLATE_X || kind == AUGMENT_TRANSLATE_Y;
}

static bool is_blend(AugmentKind kind) {
    return kind == AUGMENT_COLOR || kind == AUGMENT_CONTRAST || kind == AUGMENT_BRIGHTNESS || kind == AUGMENT_SHARPNESS;
}

/* Pixels of a translation at full magnitude: in pixels (TensorFlow's AutoAugment 250, RandAugment 100), or 45 % of the
 * side (timm). */
static double translation(const AugmentPolicy *policy, int side) {
    if (policy->family == FAMILY_RANDAUG) return 100;
    if (policy->family == FAMILY_AUTO_V0 && policy->reference == AA_OPS_TENSORFLOW) return 250;
    return 0.45 * side;
}

/* `share` is magnitude / 10; unsigned. Cut off to whole numbers where the published code does. */
static double argument_of(const AugmentPolicy *policy, AugmentKind kind, double share, int height, int width) {
    switch (kind) {
    case AUGMENT_ROTATE:
        return 30 * share;
    case AUGMENT_POSTERIZE:
        return trunc(share * 4);
    case AUGMENT_SOLARIZE:
        return trunc(share * 256);
    case AUGMENT_SOLARIZE_ADD:
        return trunc(share * 110);
    case AUGMENT_SHEAR_X:
    case AUGMENT_SHEAR_Y:
        return 0.3 * share;
    case AUGMENT_TRANSLATE_X:
        return share * translation(policy, width);
    case AUGMENT_TRANSLATE_Y:
        return share * translation(policy, height);
    case AUGMENT_CUTOUT:
        return trunc(share * 40);
    default:
        return is_blend(kind) ? share * 1.8 + 0.1 : 0;
    }
}

/* timm's "inc1" and its bounds. */
static double argument_of_timm(const AugmentPolicy *policy, AugmentKind kind, double share, double sign, int height,
                               int width) {
    double argument = argument_of(policy, kind, share, height, width);
    if (kind == AUGMENT_POSTERIZE) return policy->increasing ? 4 - argument : argument;
    if (kind == AUGMENT_SOLARIZE) {
        argument = argument < 256 ? argument : 256;
        return policy->increasing ? 256 - argument : argument;
    }
    if (kind == AUGMENT_SOLARIZE_ADD) return argument < 128 ? argument : 128;
    if (is_blend(kind) && policy->increasing) {
        double factor = 1 + sign * 0.9 * share;
        return factor > 0.1 ? factor : 0.1;
    }
    return argument;
}

/* torchvision's 31 strengths of TrivialAugmentWide, number `bin` of 0..30; unsigned. */
static double argument_of_trivial(AugmentKind kind, int bin, double sign) {
    double share = bin / 30.0;
    switch (kind) {
    case AUGMENT_SHEAR_X:
    case AUGMENT_SHEAR_Y:
        return 0.99 * share;
    case AUGMENT_TRANSLATE_X:
    case AUGMENT_TRANSLATE_Y:
        return trunc(32 * share);
    case AUGMENT_ROTATE:
        return 135 * share;
    case AUGMENT_POSTERIZE:
        return 8 - rint(bin / 5.0);
    case AUGMENT_SOLARIZE:
        return 255 - 255 * share;
    default:
        return is_blend(kind) ? 1 + sign * 0.99 * share : 0;
    }
}

/* What an operation is called with at `share` of its full strength; the sign turns what has a direction. */
static double signed_argument(const AugmentPolicy *policy, AugmentKind kind, double share, double sign, int height,
                              int width) {
    double argument = policy->family == FAMILY_RAND_TIMM ? argument_of_timm(policy, kind, share, sign, height, width)
                      : policy->family == FAMILY_TRIVIAL ? argument_of_trivial(kind, (int)rint(share * 30), sign)
                                                         : argument_of(policy, kind, share, height, width);
    return is_symmetric(kind) ? sign * argument : argument;
}

/* ---- drawing ---- */

static double draw(RandomKey key, uint64_t index) {
    return (double)random_uniform(key, index);
}

static AugmentSampling draw_sampling(const AugmentPolicy *policy, RandomKey key) {
    switch (policy->interpolation) {
    case AA_INTERPOLATION_NEAREST:
        return SAMPLING_NEAREST;
    case AA_INTERPOLATION_BILINEAR:
        return SAMPLING_BILINEAR;
    case AA_INTERPOLATION_BICUBIC:
        return SAMPLING_BICUBIC;
    case AA_INTERPOLATION_REFERENCE:
        if (policy->family == FAMILY_TRIVIAL) return SAMPLING_NEAREST;
        break;
    }
    return random_below(key, DRAW_SAMPLING, 2) ? SAMPLING_BICUBIC : SAMPLING_BILINEAR;
}

static double timm_magnitude(const AugmentPolicy *policy, RandomKey key) {
    double magnitude = policy->magnitude;
    if (isinf(policy->deviation))
        magnitude *= draw(key, DRAW_MAGNITUDE);
    else if (policy->deviation > 0)
        magnitude += policy->deviation * (double)random_normal(key, DRAW_MAGNITUDE);
    return magnitude < 0 ? 0 : magnitude > policy->most ? policy->most : magnitude;
}

int augment_policy_count(const AugmentPolicy *policy) {
    switch (policy->family) {
    case FAMILY_AUTO_V0:
        return 2;
    case FAMILY_RANDAUG:
    case FAMILY_RAND_TIMM:
        return policy->layers;
    case FAMILY_TRIVIAL:
        return 1;
    default:
        return 0;
    }
}

AugmentOperation augment_policy_draw(const AugmentPolicy *policy, int place, int height, int width, RandomKey key,
                                     AugmentStyle *style) {
    RandomKey own = random_fold_in(key, (uint32_t)place);
    double sign = random_below(own, DRAW_SIGN, 2) ? 1 : -1, probability = 1, share = 0;
    AugmentOperation made = {.kind = AUGMENT_IDENTITY};
    *style = (AugmentStyle){.reference = policy->reference, .sampling = draw_sampling(policy, own)};
    memcpy(style->fill, policy->fill, sizeof style->fill);
    switch (policy->family) {
    case FAMILY_AUTO_V0: { /* the pair is drawn once a picture, from its own key */
        const PolicyStep *step = &auto_v0[random_below(key, DRAW_WHICH, 25)][place];
        made.kind = step->kind;
        share = step->magnitude / full_magnitude;
        probability = step->probability;
        break;
    }
    case FAMILY_RANDAUG:
        made.kind = randaug_set[random_below(own, DRAW_WHICH, 16)];
        share = policy->magnitude / full_magnitude;
        break;
    case FAMILY_RAND_TIMM:
        made.kind = timm_set[random_below(own, DRAW_WHICH, 15)];
        share = timm_magnitude(policy, own) / full_magnitude;
        probability = policy->probability;
        break;
    case FAMILY_TRIVIAL:
        made.kind = trivial_set[random_below(own, DRAW_WHICH, 14)];
        share = random_below(own, DRAW_MAGNITUDE, 31) / 30.0;
        break;
    default:
        break;
    }
    made.argument = signed_argument(policy, made.kind, share, sign, height, width);
    made.center_y = (int)random_below(own, DRAW_CENTER_Y, (uint32_t)height);
    made.center_x = (int)random_below(own, DRAW_CENTER_X, (uint32_t)width);
    if (!(draw(own, DRAW_WHETHER) < probability)) made.kind = AUGMENT_IDENTITY;
    return made;
}

AugmentOperation augment_policy_operation(const AugmentPolicy *policy, AugmentKind kind, double share, int height,
                                          int width, AugmentStyle *style) {
    *style = (AugmentStyle){.reference = policy->reference, .sampling = SAMPLING_BILINEAR};
    memcpy(style->fill, policy->fill, sizeof style->fill);
    return (AugmentOperation){.kind = kind,
                              .argument = signed_argument(policy, kind, share, 1, height, width),
                              .center_y = height / 2,
                              .center_x = width / 2};
}

/* ---- colour jitter and grey, as torchvision has them on Pillow pictures ---- */

/* The operations in one of their six orders, factors 1 - strength to 1 + strength. */
static void jitter(double strength, RandomKey key, const AugmentStyle *style, Picture *picture, uint8_t **scratch) {
    static const AugmentKind kinds[3] = {AUGMENT_BRIGHTNESS, AUGMENT_CONTRAST, AUGMENT_COLOR};
    uint32_t order[3];
    random_permutation(random_fold_in(key, 0), order, 3);
    for (int i = 0; i < 3; i++) {
        AugmentOperation operation = {.kind = kinds[order[i]],
                                      .argument = 1 + strength * (2 * draw(key, order[i]) - 1)};
        augment_apply(&operation, style, picture, scratch);
    }
}

void augment_policy_apply(const AugmentPolicy *policy, RandomKey key, Picture *picture, uint8_t **scratch) {
    AugmentStyle style;
    for (int place = 0; place < augment_policy_count(policy); place++) {
        AugmentOperation operation = augment_policy_draw(policy, place, picture->height, picture->width, key, &style);
        augment_apply(&operation, &style, picture, scratch);
    }
    style = (AugmentStyle){.reference = AA_OPS_PILLOW}; /* TensorFlow's recipes have neither */
    if (policy->color_jitter > 0)
        jitter(policy->color_jitter, random_fold_in(key, STREAM_JITTER), &style, picture, scratch);
    if (draw(random_fold_in(key, STREAM_GREY), 0) < policy->grayscale) {
        const AugmentOperation grey = {.kind = AUGMENT_COLOR, .argument = 0};
        augment_apply(&grey, &style, picture, scratch);
    }
}

bool augment_policy_is_empty(const AugmentPolicy *policy) {
    return policy->family == FAMILY_NONE && policy->color_jitter == 0 && policy->grayscale == 0;
}

/* ---- the text of `aa` ---- */

/* "m9" with name "m": the number behind it, all of the rest, least to most. */
static bool take_number(const char *part, const char *name, double least, double most, bool whole, double *out) {
    size_t length = strlen(name);
    if (strncmp(part, name, length) != 0 || !(part[length] >= '0' && part[length] <= '9')) return false;
    if (strspn(part + length, "0123456789.") != strlen(part + length)) return false;
    char *end;
    double value = number_of_text(part + length, &end);
    if (*end || !(value >= least && value <= most) || (whole && value != trunc(value))) return false;
    *out = value;
    return true;
}

static bool take_part(const char *part, AugmentPolicy *policy) {
    double value;
    bool timm = policy->family == FAMILY_RAND_TIMM;
    if (take_number(part, "m", 0, timm ? 1000 : 30, true, &policy->magnitude)) return true;
    if (take_number(part, "n", 1, AUGMENT_MOST_LAYERS, true, &value)) {
        policy->layers = (int)value;
        return true;
    }
    if (!timm) return false;
    if (take_number(part, "p", 0, 1, false, &policy->probability)) return true;
    if (take_number(part, "mmax", 0, 1000, true, &policy->most)) return true;
    if (take_number(part, "mstd", 0, 1e6, false, &policy->deviation)) {
        if (policy->deviation > 100) policy->deviation = INFINITY;
        return true;
    }
    if (!take_number(part, "inc", 0, 1, true, &value)) return false;
    policy->increasing = value != 0;
    return true;
}

static effnet_status parse(const char *text, AugmentPolicy *policy, effnet_error *err) {
    char copy[RECIPE_TEXT];
    if (!text[0]) return EFFNET_OK;
    memcpy(copy, text, strlen(text) + 1);
    char *rest = copy;
    const char *name = strsep(&rest, "-"), *part = NULL;
    policy->layers = 2;
    policy->magnitude = policy->most = full_magnitude;
    policy->probability = 0.5;
    if (strcmp(name, "v0") == 0) policy->family = FAMILY_AUTO_V0;
    if (strcmp(name, "trivial") == 0) policy->family = FAMILY_TRIVIAL;
    if (strcmp(name, "randaug") == 0) policy->family = FAMILY_RANDAUG;
    if (strcmp(name, "rand") == 0) policy->family = FAMILY_RAND_TIMM;
    bool has_parts = policy->family == FAMILY_RANDAUG || policy->family == FAMILY_RAND_TIMM;
    bool good = policy->family != FAMILY_NONE && (has_parts || !rest);
    while (good && (part = strsep(&rest, "-"))) good = take_part(part, policy);
    if (good) return EFFNET_OK;
    if (policy->family == FAMILY_NONE || !has_parts)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "aa is '%.80s'; allowed are v0, trivial, randaug-nN-mM and rand-mM-nN-pP-mstdS-mmaxX-inc1, or "
                    "nothing",
                    text);
    return fail(err, EFFNET_ERROR_ARGUMENT, "aa is '%.80s', and '%.40s' in it means nothing; allowed behind '%s': %s",
                text, part, name,
                policy->family == FAMILY_RANDAUG ? "n1 to n16, m0 to m30"
                                                 : "m0 to m1000, n1 to n16, p0 to p1, mstd0 and more, mmax0 to "
                                                   "mmax1000, inc0, inc1");
}

effnet_status augment_policy_from_recipe(const Recipe *recipe, AugmentPolicy *out, effnet_error *err) {
    *out = (AugmentPolicy){.reference = recipe->aa_ops,
                           .interpolation = recipe->aa_interpolation,
                           .color_jitter = recipe->color_jitter,
                           .grayscale = recipe->grayscale_prob};
    TRY(parse(recipe->aa, out, err));
    const ChannelValues means = channel_values_for(&recipe->mean, 3); /* of one channel: its own */
    for (int c = 0; c < 3; c++) {
        double mean = rint(255 * means.values[c]);
        if (recipe->aa_ops == AA_OPS_TENSORFLOW) out->fill[c] = 128;
        if (recipe->aa_ops == AA_OPS_PILLOW && out->family != FAMILY_TRIVIAL) out->fill[c] = (uint8_t)mean;
    }
    return EFFNET_OK;
}
