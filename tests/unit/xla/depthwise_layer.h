/* depthwise_layer.h - the three kernels of depthwise.cu for one layer, as one function LAYER_run(part, a, b, result) of
 * one thread. Included again for each layer, with LAYER and the macros of depthwise.cu set but NAME and PART; they are
 * undefined at the end. */
#define JOIN_AGAIN(a, b) a##b
#define JOIN(a, b)       JOIN_AGAIN(a, b)
#define LAYERS(name)     JOIN(LAYER, name)

/* Names that every inclusion makes anew. */
#define Pair          LAYERS(JOIN(_pair, PART))
#define unpack        LAYERS(JOIN(_unpack, PART))
#define pack          LAYERS(JOIN(_pack, PART))
#define round_up_half LAYERS(JOIN(_round, PART))
#define PAIRS         LAYERS(JOIN(_pairs, PART))
#define Place         LAYERS(JOIN(_place, PART))
#define place_of      LAYERS(JOIN(_place_of, PART))
#define store_tile    LAYERS(JOIN(_store_tile, PART))
#define NAME          LAYERS(JOIN(_, PART))

#define PART 1
#include "backend/xla/depthwise.cu"
#undef PART
#define PART 2
#include "backend/xla/depthwise.cu"
#undef PART
#define PART 3
#include "backend/xla/depthwise.cu"
#undef PART

static void LAYERS(_run)(int part, const void *a, const void *b, void *result) {
    if (part == 1) LAYERS(_1)(a, b, result);
    if (part == 2) LAYERS(_2)(a, b, result);
    if (part == 3) LAYERS(_3)(a, b, result);
}

#undef LAYER
#undef BFLOAT16
#undef IMAGES
#undef CHANNELS
#undef IN_H
#undef IN_W
#undef OUT_H
#undef OUT_W
#undef TAPS
#undef STRIDE
#undef PAD_TOP
#undef PAD_LEFT
#undef ROWS
#undef COLUMNS
#undef CHUNKS
#undef LOAD_ROW
#undef MULTIPLY_ADD
#undef FIRST_OUTPUT
#undef LAST_OUTPUT
