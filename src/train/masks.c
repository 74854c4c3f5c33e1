/* masks.c - dropout and stochastic depth: which images skip which block, which features are dropped.
 *
 * Each value is 1/keep with probability keep, else 0 (as tf.nn.dropout and drop_connect scale them), drawn as
 * uniform < keep. A value is a function of (seed, step, layer, place of the image in the whole batch) alone:
 *   key = fold_in(fold_in(fold_in(fold_in(key(seed), "mask"), high half of step), low half of step), layer)
 * where layer is the drop path index, or num_residuals for the dropout; the index is the image's place, for dropout
 * place * features + feature. So the number of accumulated parts, of threads and of processes leaves masks as they
 * are, and a resumed run draws what the interrupted one would have drawn.
 *
 * Sources: Huang et al., "Deep Networks with Stochastic Depth", arXiv 1603.09382; drop_connect in tensorflow/tpu
 * models/official/efficientnet/utils.py; key derivation and uniforms are jax.random's (base/random.h). */
#include "train/train.h"

#include "base/random.h"

enum { MASK_STREAM = 0x6D61736B }; /* "mask": apart from initial weights and the order of the data */

static RandomKey layer_key(uint64_t seed, int64_t step, int layer) {
    RandomKey key = random_fold_in(random_key(seed), MASK_STREAM);
    key = random_fold_in(key, (uint32_t)((uint64_t)step >> 32));
    key = random_fold_in(key, (uint32_t)step);
    return random_fold_in(key, (uint32_t)layer);
}

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
    for (int r = 0; r < network->num_residuals; r++)
        draw(layer_key(seed, step, r), (uint64_t)first_image, (size_t)batch, network_keep_probability(network, r),
             drop_path_scale + (size_t)r * (size_t)batch);
    size_t features = (size_t)network->features;
    Dropout dropout = {layer_key(seed, step, network->num_residuals), (uint64_t)first_image * features,
                       (size_t)batch * features, 1 - network->config.drop, dropout_scale};
    thread_team_run(team, dropout_task, &dropout, (int)((dropout.count + DROPOUT_TASK - 1) / DROPOUT_TASK));
}
