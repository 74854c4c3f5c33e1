/* near_duplicates.c - see near_duplicates.h. A difference hash sees edges, whatever brightness and compression are; the
 * small grey picture beside it tells apart what has the same edges and other levels. */
#include "report/near_duplicates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16, COLUMNS = 17, MOST_PAIRS = 100000 };
/* Levels of 255. Two pictures of one kind (trousers on black) may share their edges; what is the same picture also shares
 * its levels, to a few, or to a small part of its contrast. */
static const double flat_deviation = 4, grey_difference = 5, grey_share = 0.15;

/* Mean levels, 0 to 255, of `rows` x `columns` fields. */
static void shrink(const float *image, TensorShape shape, const double *mean, const double *std, int rows, int columns,
                   double *out) {
    static const double luma[3] = {0.299, 0.587, 0.114}; /* of other channels than RGB their mean */
    const size_t channels = (size_t)shape.channels;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            int top = r * shape.height / rows, bottom = (r + 1) * shape.height / rows, left = c * shape.width / columns,
                right = (c + 1) * shape.width / columns;
            double sum = 0;
            if (bottom == top) bottom++;
            if (right == left) right++;
            for (int y = top; y < bottom; y++)
                for (int x = left; x < right; x++)
                    for (size_t k = 0; k < channels; k++)
                        sum += (channels == 3 ? luma[k] : 1.0 / (double)channels) *
                               ((double)image[channels * ((size_t)y * (size_t)shape.width + (size_t)x) + k] * std[k] +
                                mean[k]);
            out[r * columns + c] = 255 * sum / ((bottom - top) * (right - left));
        }
}

void picture_hash(const float *image, TensorShape shape, const double *mean, const double *std, PictureHash *out) {
    double fields[ROWS * COLUMNS], grey[HASH_GREY * HASH_GREY], sum = 0, squares = 0;
    shrink(image, shape, mean, std, ROWS, COLUMNS, fields);
    shrink(image, shape, mean, std, HASH_GREY, HASH_GREY, grey);
    memset(out->bits, 0, sizeof out->bits);
    memset(out->mirrored, 0, sizeof out->mirrored);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS - 1; c++) {
            const double *row = fields + r * COLUMNS;
            int bit = r * (COLUMNS - 1) + c;
            uint64_t one = (uint64_t)1 << (bit % 64);
            if (row[c + 1] > row[c]) out->bits[bit / 64] |= one;
            if (row[COLUMNS - 2 - c] > row[COLUMNS - 1 - c]) out->mirrored[bit / 64] |= one;
        }
    for (int i = 0; i < HASH_GREY * HASH_GREY; i++) {
        sum += grey[i];
        squares += grey[i] * grey[i];
        out->grey[i / HASH_GREY][i % HASH_GREY] = (uint8_t)fmin(255, fmax(0, grey[i] + 0.5));
    }
    double average = sum / (HASH_GREY * HASH_GREY), variance = squares / (HASH_GREY * HASH_GREY) - average * average;
    out->deviation = (float)sqrt(fmax(0, variance));
    out->flat = !(variance > flat_deviation * flat_deviation);
}

static int distance(const uint64_t *a, const uint64_t *b) {
    int bits = 0;
    for (int i = 0; i < HASH_WORDS; i++) bits += __builtin_popcountll(a[i] ^ b[i]);
    return bits;
}

/* Mean difference of the small grey pictures, each less its own mean: brightness may differ. */
static double grey_apart(const PictureHash *a, const PictureHash *b, bool mirrored) {
    double offset = 0, apart = 0;
    for (int y = 0; y < HASH_GREY; y++)
        for (int x = 0; x < HASH_GREY; x++) offset += (double)a->grey[y][x] - b->grey[y][x];
    offset /= HASH_GREY * HASH_GREY;
    for (int y = 0; y < HASH_GREY; y++)
        for (int x = 0; x < HASH_GREY; x++)
            apart += fabs((double)a->grey[y][x] - b->grey[y][mirrored ? HASH_GREY - 1 - x : x] - offset);
    return apart / (HASH_GREY * HASH_GREY);
}

static int nearest_first(const void *a, const void *b) {
    const NearPair *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->second < y->second ? -1 : x->second > y->second;
}

effnet_status near_pairs(const PictureHash *first, int64_t first_count, const PictureHash *second, int64_t second_count,
                         NearPair **list, int64_t *count, effnet_error *err) {
    int64_t capacity = 64;
    *count = 0;
    *list = malloc((size_t)capacity * sizeof **list);
    if (!*list) return fail(err, EFFNET_ERROR_MEMORY, "no memory for near duplicates");
    for (int64_t a = 0; a < first_count; a++)
        for (int64_t b = 0; b < second_count && *count < MOST_PAIRS; b++) {
            int straight = distance(first[a].bits, second[b].bits),
                turned = distance(first[a].mirrored, second[b].bits);
            bool mirrored = turned < straight;
            int bits = mirrored ? turned : straight;
            if (bits > HASH_FARTHEST || first[a].flat || second[b].flat ||
                grey_apart(&first[a], &second[b], mirrored) > fmin(grey_difference, grey_share * first[a].deviation))
                continue;
            if (*count == capacity) {
                capacity *= 2;
                NearPair *larger = realloc(*list, (size_t)capacity * sizeof *larger);
                if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for near duplicates");
                *list = larger;
            }
            (*list)[(*count)++] = (NearPair){.first = a, .second = b, .distance = bits, .mirrored = mirrored};
        }
    qsort(*list, (size_t)*count, sizeof **list, nearest_first);
    return EFFNET_OK;
}
