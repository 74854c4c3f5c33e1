/* augment_mix.c - see augment_mix.h. Mixup: every value is share * own + (1 - share) * other's. CutMix: a rectangle of
 * sqrt(1 - share) of each side, its centre anywhere, is the other's, and the share becomes that of the pixels
 * left. Images are taken in pairs (i, batch - 1 - i), the first of which is kept aside while it is overwritten; the
 * middle image of an odd batch is its own partner and stays as it is. */
#include "data/transform/augment_mix.h"

#include <math.h>
#include <string.h>

enum { DRAW_WHETHER, DRAW_WHICH, DRAW_SHARE, DRAW_CENTER_Y, DRAW_CENTER_X };

typedef struct Mix {
    float share;                  /* of an image's own */
    bool cut;                     /* the rectangle rather than all */
    int top, left, bottom, right; /* the rectangle; bottom and right are not in it */
} Mix;

MixOptions mix_from_recipe(const Recipe *recipe) {
    return (MixOptions){.mixup = recipe->mixup,
                        .cutmix = recipe->cutmix,
                        .probability = recipe->mixup_prob,
                        .switch_probability = recipe->mixup_switch_prob,
                        .mode = recipe->mixup_mode};
}

bool mix_is_empty(const MixOptions *options) {
    return (options->mixup == 0 && options->cutmix == 0) || options->probability == 0;
}

static int limited(int n, int most) {
    return n < 0 ? 0 : n > most ? most : n;
}

static Mix draw_mix(const MixOptions *options, RandomKey key, TensorShape shape) {
    Mix mix = {.share = 1};
    if (!((double)random_uniform(key, DRAW_WHETHER) < options->probability)) return mix;
    mix.cut = options->cutmix > 0 &&
              (options->mixup == 0 || (double)random_uniform(key, DRAW_WHICH) < options->switch_probability);
    double alpha = mix.cut ? options->cutmix : options->mixup;
    double share = random_beta(random_fold_in(key, DRAW_SHARE), alpha, alpha);
    mix.share = (float)share;
    if (!mix.cut) return mix;
    int down = (int)(shape.height * sqrt(1 - share)), across = (int)(shape.width * sqrt(1 - share));
    int y = (int)random_below(key, DRAW_CENTER_Y, (uint32_t)shape.height);
    int x = (int)random_below(key, DRAW_CENTER_X, (uint32_t)shape.width);
    mix.top = limited(y - down / 2, shape.height);
    mix.left = limited(x - across / 2, shape.width);
    mix.bottom = limited(y + down / 2, shape.height);
    mix.right = limited(x + across / 2, shape.width);
    mix.share =
        (float)(1 - (double)(mix.bottom - mix.top) * (mix.right - mix.left) / ((double)shape.height * shape.width));
    return mix;
}

static void mix_into(const Mix *mix, TensorShape shape, float *restrict own, const float *restrict other) {
    const size_t channels = (size_t)shape.channels;
    if (mix->cut) {
        for (int y = mix->top; y < mix->bottom; y++) {
            size_t at = channels * ((size_t)y * (size_t)shape.width + (size_t)mix->left);
            memcpy(own + at, other + at, channels * (size_t)(mix->right - mix->left) * sizeof *own);
        }
        return;
    }
    float share = mix->share, rest = 1 - share;
    size_t count = shape_floats(shape);
    for (size_t i = 0; share < 1 && i < count; i++) own[i] = share * own[i] + rest * other[i];
}

void mix_batch(const MixOptions *options, RandomKey key, int batch, TensorShape shape, float *images, float *spare,
               const int32_t *labels, int32_t *others, float *shares) {
    size_t count = shape_floats(shape);
    bool one_for_all = options->mode == MIXUP_MODE_BATCH;
    for (int i = 0; i < batch; i++) {
        others[i] = labels[batch - 1 - i];
        shares[i] = 1;
    }
    for (int i = 0; i < batch / 2; i++) {
        int j = batch - 1 - i;
        float *first = images + (size_t)i * count, *second = images + (size_t)j * count;
        Mix mix = draw_mix(options, random_fold_in(key, (uint32_t)(one_for_all ? 0 : i)), shape);
        Mix back = one_for_all ? mix : draw_mix(options, random_fold_in(key, (uint32_t)j), shape);
        memcpy(spare, first, count * sizeof *spare);
        mix_into(&mix, shape, first, second);
        mix_into(&back, shape, second, spare);
        shares[i] = mix.share;
        shares[j] = back.share;
    }
}
