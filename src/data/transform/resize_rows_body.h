/* resize_rows_body.h - the loops of resize_rows.h over vectors of LANES floats. resize_rows.c includes it once for each
 * instruction set, with LANES (4, 8 or 16), ISA (the suffix of its names) and TARGET (the attribute of its functions).
 *
 * Across: a source pixel of four rows becomes sixteen floats in PARTS vectors, an output pixel the sum of such pixels
 * times one weight each. In the output a row's fourth float is overwritten by the next pixel's red.
 *
 *   rows   RGBRGB..    levels  R0 G0 B0 . R1 G1 B1 . R2 G2 B2 . R3 G3 B3 .   (pixel 0)
 *          RGBRGB..            R0 G0 B0 . ...                                (pixel 1)
 *
 * Down: two vectors stay in registers over all rows, so that an output value is written once, finished.
 *
 * Vectors go to and from memory by memcpy, for pointers are aligned to floats only, and into functions by pointer, for
 * how a value is passed depends on the instruction set. */
#define JOINED(name, isa) name##_##isa
#define JOIN(name, isa)   JOINED(name, isa)
#define NAMED(name)       JOIN(name, ISA)
#define QUOTED(isa)       #isa
#define QUOTE(isa)        QUOTED(isa)

#define Floats   NAMED(Floats)
#define Integers NAMED(Integers)
#define PARTS    (PIXEL_FLOATS / LANES)

/* LANES numbers: four repeated; and each of w's that fall into part p four times. */
#if LANES == 4
#define REPEATED(...) __VA_ARGS__
#define SPREAD(w, p)  w[p], w[p], w[p], w[p]
#elif LANES == 8
#define REPEATED(...) __VA_ARGS__, __VA_ARGS__
#define SPREAD(w, p)  w[2 * p], w[2 * p], w[2 * p], w[2 * p], w[2 * p + 1], w[2 * p + 1], w[2 * p + 1], w[2 * p + 1]
#else
#define REPEATED(...) __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__
#define SPREAD(w, p)  w[0], w[0], w[0], w[0], w[1], w[1], w[1], w[1], w[2], w[2], w[2], w[2], w[3], w[3], w[3], w[3]
#endif

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));

/* x > 0 ? x : 0, then x < 255 ? x : 255. */
TARGET static inline void NAMED(clip)(Floats *levels) {
    const Floats zero = {0}, most = {REPEATED(255, 255, 255, 255)};
    Floats kept = (Floats)((Integers)*levels & (*levels > zero));
    Integers below = kept < most;
    *levels = (Floats)(((Integers)kept & below) | ((Integers)most & ~below));
}

/* A pixel of four rows, each the lower three bytes of a word. A level that stands in the second or third byte is 2^8 or
 * 2^16 times too large, which a product takes back exactly. */
TARGET static inline void NAMED(spread_pixel)(const int32_t words[ROWS_AT_ONCE], float *out) {
    const Integers places = {REPEATED(0xFF, 0xFF00, 0xFF0000, 0)};
    const Floats shares = {REPEATED(1, 0x1p-8f, 0x1p-16f, 0)};
    for (int p = 0; p < PARTS; p++) {
        const Integers part = {SPREAD(words, p)};
        Floats floats = __builtin_convertvector(part & places, Floats) * shares;
        memcpy(out + p * LANES, &floats, sizeof floats);
    }
}

TARGET static void NAMED(spread_rows)(const uint8_t *const rows[ROWS_AT_ONCE], int width, float *restrict levels) {
    const uint8_t *row0 = rows[0], *row1 = rows[1], *row2 = rows[2], *row3 = rows[3];
    int32_t words[ROWS_AT_ONCE];
    size_t at = 0;
    for (int x = 0; x < width - 1; x++, at += 3, levels += PIXEL_FLOATS) {
        memcpy(&words[0], row0 + at, sizeof words[0]);
        memcpy(&words[1], row1 + at, sizeof words[1]);
        memcpy(&words[2], row2 + at, sizeof words[2]);
        memcpy(&words[3], row3 + at, sizeof words[3]);
        NAMED(spread_pixel)(words, levels);
    }
    for (int r = 0; r < ROWS_AT_ONCE; r++) { /* the last has no byte behind it that may be read */
        const uint8_t *last = rows[r] + at;
        words[r] = last[0] | last[1] << 8 | last[2] << 16;
    }
    NAMED(spread_pixel)(words, levels);
}

TARGET static void NAMED(across)(const uint8_t *const rows[ROWS_AT_ONCE], int width, const ResizeAxis *axis, int side,
                                 bool clip, float *levels, float *const out[ROWS_AT_ONCE]) {
    enum { ROW_BYTES = 4 * sizeof(float) };
    NAMED(spread_rows)(rows, width, levels);
    const int *first = axis->first, *count = axis->count;
    const float *weights = axis->weights;
    float *out0 = out[0], *out1 = out[1], *out2 = out[2], *out3 = out[3];
    size_t at = 0, taps = (size_t)axis->taps;
    for (int x = 0; x < side; x++, at += 3, weights += taps) {
        const float *source = levels + (size_t)first[x] * PIXEL_FLOATS;
        int pixels = count[x];
        Floats sums[PARTS] = {{0}};
        for (int k = 0; k < pixels; k++, source += PIXEL_FLOATS) {
            for (int p = 0; p < PARTS; p++) {
                Floats pixel;
                memcpy(&pixel, source + p * LANES, sizeof pixel);
                sums[p] += weights[k] * pixel;
            }
        }
        for (int p = 0; clip && p < PARTS; p++) NAMED(clip)(&sums[p]);
        const char *made = (const char *)sums;
        memcpy(out0 + at, made, ROW_BYTES);
        memcpy(out1 + at, made + ROW_BYTES, ROW_BYTES);
        memcpy(out2 + at, made + 2 * ROW_BYTES, ROW_BYTES);
        memcpy(out3 + at, made + 3 * ROW_BYTES, ROW_BYTES);
    }
}

/* sum = LANES values of the weighted sum of the rows from column i on, four rows at a time. */
TARGET static inline void NAMED(weigh)(float *const *rows, const float *weights, int k, int i, Floats *sum) {
    Floats a, b, c, d;
    memcpy(&a, rows[k] + i, sizeof a);
    memcpy(&b, rows[k + 1] + i, sizeof b);
    memcpy(&c, rows[k + 2] + i, sizeof c);
    memcpy(&d, rows[k + 3] + i, sizeof d);
    *sum += weights[k] * a + weights[k + 1] * b + (weights[k + 2] * c + weights[k + 3] * d);
}

TARGET static inline void NAMED(weigh_one)(float *const *rows, const float *weights, int k, int i, Floats *sum) {
    Floats a;
    memcpy(&a, rows[k] + i, sizeof a);
    *sum += weights[k] * a;
}

TARGET static inline void NAMED(finish)(const float *scale, const float *bias, bool keep_overshoot, Floats *sum) {
    Floats factor, added;
    memcpy(&factor, scale, sizeof factor);
    memcpy(&added, bias, sizeof added);
    if (!keep_overshoot) NAMED(clip)(sum);
    *sum = *sum * factor + added;
}

TARGET static void NAMED(down)(float *const *rows, const float *weights, int count, int length, const float *scale,
                               const float *bias, bool keep_overshoot, float *out) {
    for (int i = 0; i < length; i += 2 * LANES) {
        Floats first = {0}, second = {0};
        int k = 0;
        for (; k + 4 <= count; k += 4) {
            NAMED(weigh)(rows, weights, k, i, &first);
            NAMED(weigh)(rows, weights, k, i + LANES, &second);
        }
        for (; k < count; k++) {
            NAMED(weigh_one)(rows, weights, k, i, &first);
            NAMED(weigh_one)(rows, weights, k, i + LANES, &second);
        }
        NAMED(finish)(scale + i, bias + i, keep_overshoot, &first);
        NAMED(finish)(scale + i + LANES, bias + i + LANES, keep_overshoot, &second);
        const Floats made[2] = {first, second};
        int left = length - i;
        if (left >= 2 * LANES)
            memcpy(out + i, made, sizeof made);
        else
            memcpy(out + i, made, (size_t)left * sizeof *out);
    }
}

static const ResizeRows NAMED(rows) = {.isa = QUOTE(ISA), .across = NAMED(across), .down = NAMED(down)};

#undef JOINED
#undef JOIN
#undef NAMED
#undef QUOTED
#undef QUOTE
#undef Floats
#undef Integers
#undef PARTS
#undef REPEATED
#undef SPREAD
#undef LANES
#undef ISA
#undef TARGET
