/* masks.c - dropout and stochastic depth: which images skip which block, which features are dropped.
 *
 * Each value is 1/keep with probability keep, else 0 (as tf.nn.dropout and drop_connect scale them), drawn as
 * uniform < keep. A value is a function of a layer's key (step/mask_keys.h) and of the image's place in the whole
 * batch, for dropout place * features + feature: the number of accumulated parts, of threads and of processes leaves
 * masks as they are, and a resumed run draws what the interrupted one would have drawn.
 *
 * Sources: Huang et al., "Deep Networks with Stochastic Depth", arXiv 1603.09382; drop_connect in tensorflow/tpu
 * models/official/efficientnet/utils.py; key derivation and uniforms are jax.random's (base/random.h). */
#include "step/masks.h"

/* out[i] for i in 0..count-1 from the indices first..first+count-1 of `key`. */
static void draw(RandomKey key, uint64_t first, size_t count, double keep, float *out) {
    float scale = (float)(1 / keep);
    random_uniforms(key, first, count, out);
    for (size_t i = 0; i < count; i++) out[i] = out[i] < (float)keep ? scale : 0.0f;
}

typedef struct Dropout {
    RandomKey key;
    uint64_t first; /* index of the first value */
    size_t count;
    double keep;
    float *out;
} Dropout;

enum { DROPOUT_TASK = 16384 }; /* values of a task */

static void dropout_task(void *context, int task, int thread) {
    (void)thread;
    const Dropout *dropout = context;
    size_t first = (size_t)task * DROPOUT_TASK, left = dropout->count - first;
    draw(dropout->key, dropout->first + first, left < DROPOUT_TASK ? left : DROPOUT_TASK, dropout->keep,
         dropout->out + first);
}

void masks_draw(const Network *network, uint64_t seed, int64_t step, int first_image, int batch, ThreadTeam *team,
                float *drop_path_scale, float *dropout_scale) {
    RandomKey keys[MOST_KEYS];
    mask_keys(network, seed, step, keys);
    for (int r = 0; r < network->num_residuals; r++)
        draw(keys[r], (uint64_t)first_image, (size_t)batch, network_keep_probability(network, r),
             drop_path_scale + (size_t)r * (size_t)batch);
    size_t features = (size_t)network->features;
    Dropout dropout = {keys[network->num_residuals], (uint64_t)first_image * features, (size_t)batch * features,
                       1 - network->config.drop, dropout_scale};
    thread_team_run(team, dropout_task, &dropout, (int)((dropout.count + DROPOUT_TASK - 1) / DROPOUT_TASK));
}
