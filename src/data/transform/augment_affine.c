/* augment_affine.c - rotate, shear and translate: each output pixel looks up where it comes from.
 *
 * TensorFlow (ImageProjectiveTransformV3, nearest): pixels are at whole numbers; the place is computed in float and
 * rounded, halves away from 0. Pillow (libImaging/Geometry.c): pixel centres are at halves, the place is computed in
 * double; nearest cuts it off, in 16.16 fixed point where the matrix does more than translate, bilinear and bicubic
 * (Keys, a = -1) take their neighbours clamped to the picture, and what is behind the point of the result is cut off.
 * A place outside of the picture gets the fill colour. Colours are summed in four float lanes, the fourth unused: a
 * level that is a whole number comes out whole, others differ from Pillow's doubles by far less than a level. */
#include "data/transform/augment.h"
#include "recipe/recipe.h"

#include <math.h>
#include <string.h>

typedef float Float4 __attribute__((vector_size(16)));

typedef struct Affine {
    const Picture *picture;
    const AugmentStyle *style;
    double matrix[6];
} Affine;

static inline const uint8_t *pixel_at(const Picture *picture, int y, int x) {
    return picture->pixels + 3 * ((size_t)y * (size_t)picture->width + (size_t)x);
}

static inline void copy_pixel(uint8_t *out, const uint8_t *from) {
    out[0] = from[0];
    out[1] = from[1];
    out[2] = from[2];
}

static inline bool is_inside(const Picture *picture, int y, int x) {
    return y >= 0 && x >= 0 && y < picture->height && x < picture->width;
}

/* ---- TensorFlow ---- */

/* Halves away from 0. Far values, which a float as int would overflow, stay far. */
static inline int rounded(float place) {
    if (!(place > -1e6f && place < 1e6f)) return -1;
    int whole = (int)place;
    float rest = place - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

static void nearest_tensorflow(const Affine *affine, uint8_t *out) {
    const Picture *picture = affine->picture;
    float m[6];
    for (int i = 0; i < 6; i++) m[i] = (float)affine->matrix[i];
    for (int y = 0; y < picture->height; y++)
        for (int x = 0; x < picture->width; x++, out += 3) {
            int from_x = rounded(m[0] * (float)x + m[1] * (float)y + m[2]);
            int from_y = rounded(m[3] * (float)x + m[4] * (float)y + m[5]);
            bool inside = is_inside(picture, from_y, from_x);
            copy_pixel(out, inside ? pixel_at(picture, from_y, from_x) : affine->style->fill);
        }
}

/* ---- Pillow ---- */

static inline int64_t fixed_point(double value) {
    return (int64_t)floor(value * 65536.0 + 0.5);
}

static void nearest_pillow(const Affine *affine, uint8_t *out) {
    const Picture *picture = affine->picture;
    const double *m = affine->matrix;
    bool only_moved = m[0] == 1 && m[1] == 0 && m[3] == 0 && m[4] == 1;
    int64_t across_x = fixed_point(m[0]), down_x = fixed_point(m[1]);
    int64_t across_y = fixed_point(m[3]), down_y = fixed_point(m[4]);
    int64_t start_x = fixed_point(m[2] + m[0] * 0.5 + m[1] * 0.5),
            start_y = fixed_point(m[5] + m[3] * 0.5 + m[4] * 0.5);
    for (int y = 0; y < picture->height; y++) {
        int64_t place_x = start_x + y * down_x, place_y = start_y + y * down_y;
        for (int x = 0; x < picture->width; x++, out += 3) {
            int from_x = (int)(place_x >> 16), from_y = (int)(place_y >> 16);
            if (only_moved) {
                from_x = (int)floor(x + 0.5 + m[2]);
                from_y = (int)floor(y + 0.5 + m[5]);
            }
            bool inside = is_inside(picture, from_y, from_x);
            copy_pixel(out, inside ? pixel_at(picture, from_y, from_x) : affine->style->fill);
            place_x += across_x;
            place_y += across_y;
        }
    }
}

static inline int clamped(int n, int count) {
    return n < 0 ? 0 : n >= count ? count - 1 : n;
}

static inline Float4 load_pixel(const uint8_t *row, int x) {
    const uint8_t *rgb = row + 3 * (size_t)x;
    return (Float4){rgb[0], rgb[1], rgb[2], 0};
}

static inline Float4 linear_row(const Picture *picture, int y, int x, float dx) {
    const uint8_t *row = pixel_at(picture, clamped(y, picture->height), 0);
    Float4 left = load_pixel(row, clamped(x, picture->width)), right = load_pixel(row, clamped(x + 1, picture->width));
    return left + dx * (right - left);
}

static inline Float4 cubic(Float4 a, Float4 b, Float4 c, Float4 d, float at) {
    Float4 p2 = c - a, p3 = 2 * (a - b) + c - d, p4 = b - a - c + d;
    return b + at * (p2 + at * (p3 + at * p4));
}

static inline Float4 cubic_row(const Picture *picture, int y, int x, float dx) {
    const uint8_t *row = pixel_at(picture, clamped(y, picture->height), 0);
    int width = picture->width;
    return cubic(load_pixel(row, clamped(x - 1, width)), load_pixel(row, clamped(x, width)),
                 load_pixel(row, clamped(x + 1, width)), load_pixel(row, clamped(x + 2, width)), dx);
}

static inline void store_pixel(uint8_t *out, Float4 value) {
    for (int c = 0; c < 3; c++) {
        float level = value[c] > 0 ? value[c] : 0;
        out[c] = (uint8_t)(int)(level < 255 ? level : 255);
    }
}

static void smooth_pillow(const Affine *affine, bool bicubic, uint8_t *out) {
    const Picture *picture = affine->picture;
    const double *m = affine->matrix;
    for (int y = 0; y < picture->height; y++)
        for (int x = 0; x < picture->width; x++, out += 3) {
            double place_x = m[0] * (x + 0.5) + m[1] * (y + 0.5) + m[2];
            double place_y = m[3] * (x + 0.5) + m[4] * (y + 0.5) + m[5];
            if (!(place_x >= 0 && place_x < picture->width && place_y >= 0 && place_y < picture->height)) {
                copy_pixel(out, affine->style->fill);
                continue;
            }
            place_x -= 0.5;
            place_y -= 0.5;
            int from_x = (int)(place_x + 1) - 1, from_y = (int)(place_y + 1) - 1; /* floor: both are above -1 */
            float dx = (float)(place_x - from_x), dy = (float)(place_y - from_y);
            if (!bicubic) {
                Float4 upper = linear_row(picture, from_y, from_x, dx);
                Float4 lower = linear_row(picture, from_y + 1, from_x, dx);
                store_pixel(out, upper + dy * (lower - upper));
                continue;
            }
            Float4 rows[4];
            for (int i = 0; i < 4; i++) rows[i] = cubic_row(picture, from_y - 1 + i, from_x, dx);
            store_pixel(out, cubic(rows[0], rows[1], rows[2], rows[3], dy));
        }
}

void augment_affine(const Picture *picture, const double matrix[6], const AugmentStyle *style, uint8_t *out) {
    Affine affine = {.picture = picture, .style = style};
    memcpy(affine.matrix, matrix, sizeof affine.matrix);
    if (style->reference == AA_OPS_TENSORFLOW)
        nearest_tensorflow(&affine, out);
    else if (style->sampling == SAMPLING_NEAREST)
        nearest_pillow(&affine, out);
    else
        smooth_pillow(&affine, style->sampling == SAMPLING_BICUBIC, out);
}

/* About the picture's middle: TensorFlow's is ((width - 1) / 2, (height - 1) / 2) of pixels at whole numbers, computed
 * in float; Pillow's (width / 2, height / 2) of pixels at halves. Positive angles turn against the clock in both. */
void augment_rotate(const Picture *picture, double degrees, const AugmentStyle *style, uint8_t *out) {
    if (style->reference == AA_OPS_TENSORFLOW) {
        float radians = (float)degrees * (float)(M_PI / 180), cosine = cosf(radians), sine = sinf(radians);
        float right = (float)(picture->width - 1), bottom = (float)(picture->height - 1);
        float move_x = (right - (cosine * right - sine * bottom)) / 2.0f;
        float move_y = (bottom - (sine * right + cosine * bottom)) / 2.0f;
        augment_affine(picture, (const double[6]){cosine, -sine, move_x, sine, cosine, move_y}, style, out);
        return;
    }
    if (degrees == 0) {
        memcpy(out, picture->pixels, 3 * (size_t)picture->height * (size_t)picture->width);
        return;
    }
    double radians = -degrees * M_PI / 180, cosine = cos(radians), sine = sin(radians);
    double middle_x = picture->width / 2.0, middle_y = picture->height / 2.0;
    double move_x = middle_x - cosine * middle_x - sine * middle_y;
    double move_y = middle_y + sine * middle_x - cosine * middle_y;
    augment_affine(picture, (const double[6]){cosine, sine, move_x, -sine, cosine, move_y}, style, out);
}
