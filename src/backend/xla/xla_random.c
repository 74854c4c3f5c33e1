/* xla_random.c - dropout and drop path drawn on the device: the numbers of step/masks.c and masks_flax.c, bit for bit.
 *
 * The host derives a key for each layer (a few hundred additions); the device encrypts counters under it, Threefry-2x32
 * with 20 rounds as in base/random.c, and takes 23 bits as a uniform number u: the mask is 1 / keep where u < keep,
 * else 0. All drop paths have as many numbers each and are drawn at once. How counters are made is base/random.h's
 * ThreefryMode. */
#include "backend/xla/xla_network.h"

#include "step/mask_keys.h"

/* x0 and x1 become the cipher of the counters that they are, under keys of the same shape. */
static void threefry(Hlo *hlo, HloValue key0, HloValue key1, HloValue *x0, HloValue *x1) {
    static const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
#define NUMBER(n) hlo_fill(hlo, XLA_U32, x0->rank, x0->shape, n)
    HloValue parity = hlo_binary(hlo, HLO_XOR, hlo_binary(hlo, HLO_XOR, key0, key1), NUMBER(0x1BD11BDA));
    const HloValue keys[3] = {key0, key1, parity};
    *x0 = ADD(*x0, keys[0]);
    *x1 = ADD(*x1, keys[1]);
    for (int group = 0; group < 5; group++) {
        for (int round = 0; round < 4; round++) {
            const int by = rotations[group & 1][round];
            *x0 = ADD(*x0, *x1);
            HloValue left = hlo_binary(hlo, HLO_SHIFT_LEFT, *x1, NUMBER(by));
            HloValue right = hlo_binary(hlo, HLO_SHIFT_RIGHT, *x1, NUMBER(32 - by));
            *x1 = hlo_binary(hlo, HLO_XOR, hlo_binary(hlo, HLO_OR, left, right), *x0);
        }
        *x0 = ADD(*x0, keys[(group + 1) % 3]);
        *x1 = ADD(*x1, ADD(keys[(group + 2) % 3], NUMBER(group + 1)));
    }
#undef NUMBER
}

/* Columns `index` of keys (rows, 2), each repeated along a row of `count`. */
static HloValue key_word(Hlo *hlo, HloValue keys, int64_t first, int64_t rows, int64_t count, int word) {
    const int64_t begin[2] = {first, word}, end[2] = {first + rows, word + 1}, step[2] = {1, 1},
                  shape[2] = {rows, count};
    const int along = 0;
    HloValue column = hlo_reshape(hlo, hlo_slice(hlo, keys, begin, end, step), 1, &rows);
    return hlo_broadcast(hlo, column, 2, shape, &along);
}

/* Random bits (rows, count) of `rows` keys; counters from `from` on where the mode is partitionable. */
static HloValue drawn_bits(Hlo *hlo, ThreefryMode mode, HloValue keys, int64_t first, int64_t rows, int64_t count,
                           HloValue from) {
    const int64_t half = (count + 1) / 2, width = mode == THREEFRY_ORIGINAL ? half : count, shape[2] = {rows, width};
    HloValue key0 = key_word(hlo, keys, first, rows, width, 0), key1 = key_word(hlo, keys, first, rows, width, 1);
    HloValue counter = hlo_iota(hlo, XLA_U32, 2, shape, 1), x0, x1;
    if (mode == THREEFRY_ORIGINAL) {
        HloValue zero = hlo_fill(hlo, XLA_U32, 2, shape, 0),
                 second = ADD(counter, hlo_fill(hlo, XLA_U32, 2, shape, (double)half));
        HloValue inside = hlo_compare(hlo, HLO_LESS, second, hlo_fill(hlo, XLA_U32, 2, shape, (double)count));
        x0 = counter;
        x1 = hlo_select(hlo, inside, second, zero);
        threefry(hlo, key0, key1, &x0, &x1);
        HloValue all = hlo_concatenate(hlo, (HloValue[]){x0, x1}, 2, 1);
        const int64_t begin[2] = {0, 0}, end[2] = {rows, count}, step[2] = {1, 1};
        return 2 * half == count ? all : hlo_slice(hlo, all, begin, end, step);
    }
    x0 = hlo_fill(hlo, XLA_U32, 2, shape, 0);
    x1 = ADD(counter, hlo_broadcast_scalar(hlo, from, counter));
    threefry(hlo, key0, key1, &x0, &x1);
    return hlo_binary(hlo, HLO_XOR, x0, x1);
}

/* (rows, count) of 1 / keep where u < keep, else 0; keep and scale: (rows). */
static HloValue mask(Hlo *hlo, HloValue bits, HloValue keep, HloValue scale) {
    const int along = 0;
    HloValue mantissa = hlo_binary(hlo, HLO_SHIFT_RIGHT, bits, hlo_fill(hlo, XLA_U32, 2, bits.shape, 9));
    HloValue word = hlo_binary(hlo, HLO_OR, mantissa, hlo_fill(hlo, XLA_U32, 2, bits.shape, 0x3F800000));
    HloValue uniform = SUBTRACT(hlo_bitcast(hlo, XLA_F32, word), hlo_fill(hlo, XLA_F32, 2, bits.shape, 1));
    HloValue kept = hlo_compare(hlo, HLO_LESS, uniform, hlo_broadcast(hlo, keep, 2, bits.shape, &along));
    return hlo_select(hlo, kept, hlo_broadcast(hlo, scale, 2, bits.shape, &along),
                      hlo_fill(hlo, XLA_F32, 2, bits.shape, 0));
}

void xla_masks(XlaNetwork *net, HloValue keys, HloValue first) {
    Hlo *hlo = net->hlo;
    const Network *network = net->network;
    const bool flax = net->spec->masks == STEP_MASKS_FLAX;
    const ThreefryMode mode = flax ? net->spec->threefry : THREEFRY_PARTITIONABLE;
    const int rows = network->num_residuals;
    HloValue zero = hlo_scalar(hlo, XLA_U32, 0);
    float keep[MOST_KEYS], scale[MOST_KEYS];
    for (int r = 0; r < rows; r++) {
        double probability = network_keep_probability(network, r);
        keep[r] = (float)probability;
        scale[r] = (float)(1 / probability);
    }
    if (rows > 0) {
        HloValue bits = drawn_bits(hlo, mode, keys, 0, rows, net->images, flax ? zero : first);
        net->drop_path = mask(hlo, bits, hlo_floats(hlo, keep, rows), hlo_floats(hlo, scale, rows));
    }
    const int64_t features = network->features, shape[2] = {net->images, features};
    HloValue from = MULTIPLY(first, hlo_scalar(hlo, XLA_U32, (double)features));
    HloValue bits = drawn_bits(hlo, mode, keys, rows, 1, net->images * features, flax ? zero : from);
    keep[0] = (float)(1 - network->config.drop);
    scale[0] = (float)(1 / (1 - network->config.drop));
    HloValue drawn = mask(hlo, bits, hlo_floats(hlo, keep, 1), hlo_floats(hlo, scale, 1));
    net->dropout = hlo_reshape(hlo, drawn, 2, shape);
}
