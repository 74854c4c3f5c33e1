/* c_source_parts.c - see c_source.h: the parts of an exported C file that are the same for every model, or chosen by how
 * pictures are prepared. Formulas are those of data/transform/resize_axis.c and reference/. */
#include "format/c_source.h"

#include "base/number_text.h"

#include <string.h>

static const char swish[] = "/* swish */\n"
                            "static float activate(float x) {\n"
                            "    return x / (1 + expf(-x));\n"
                            "}\n\n";
static const char relu6[] = "/* ReLU6 */\n"
                            "static float activate(float x) {\n"
                            "    return x < 0 ? 0 : x > 6 ? 6 : x;\n"
                            "}\n\n";

static const char layers[] =
    "/* y (pixels, out) = x (pixels, in) times weight (in, out) plus bias: a 1x1 convolution, or a dense layer. */\n"
    "static void pointwise(const float *restrict x, int pixels, int in, int out, const float *restrict weight,\n"
    "                      const float *restrict bias, int active, float *restrict y) {\n"
    "    for (int p = 0; p < pixels; p++, x += in, y += out) {\n"
    "        memcpy(y, bias, (size_t)out * sizeof *y);\n"
    "        for (int i = 0; i < in; i++) {\n"
    "            const float *w = weight + (size_t)i * (size_t)out;\n"
    "            for (int o = 0; o < out; o++) y[o] += x[i] * w[o];\n"
    "        }\n"
    "        for (int o = 0; active && o < out; o++) y[o] = activate(y[o]);\n"
    "    }\n"
    "}\n"
    "\n"
    "/* A window of kernel x kernel pixels, moved by `stride`, `top` and `left` zeros before the first. */\n"
    "typedef struct Window {\n"
    "    int height, width, out_height, out_width, kernel, stride, top, left;\n"
    "} Window;\n"
    "\n"
    "/* x (height, width, in), weight (kernel, kernel, in, out) -> y (out_height, out_width, out), active. */\n"
    "static void convolution(const float *restrict x, Window n, int in, int out, const float *restrict weight,\n"
    "                        const float *restrict bias, float *restrict y) {\n"
    "    for (int oy = 0; oy < n.out_height; oy++)\n"
    "        for (int ox = 0; ox < n.out_width; ox++, y += out) {\n"
    "            memcpy(y, bias, (size_t)out * sizeof *y);\n"
    "            for (int k = 0; k < n.kernel * n.kernel; k++) {\n"
    "                const int iy = oy * n.stride - n.top + k / n.kernel, ix = ox * n.stride - n.left + k % n.kernel;\n"
    "                if (iy < 0 || iy >= n.height || ix < 0 || ix >= n.width) continue;\n"
    "                for (int i = 0; i < in; i++) {\n"
    "                    const float value = x[((size_t)iy * (size_t)n.width + (size_t)ix) * (size_t)in + (size_t)i];\n"
    "                    const float *w = weight + ((size_t)k * (size_t)in + (size_t)i) * (size_t)out;\n"
    "                    for (int o = 0; o < out; o++) y[o] += value * w[o];\n"
    "                }\n"
    "            }\n"
    "            for (int o = 0; o < out; o++) y[o] = activate(y[o]);\n"
    "        }\n"
    "}\n"
    "\n"
    "/* The same of each channel by itself: weight (kernel, kernel, channels). */\n"
    "static void depthwise(const float *restrict x, Window n, int channels, const float *restrict weight,\n"
    "                      const float *restrict bias, float *restrict y) {\n"
    "    for (int oy = 0; oy < n.out_height; oy++)\n"
    "        for (int ox = 0; ox < n.out_width; ox++, y += channels) {\n"
    "            memcpy(y, bias, (size_t)channels * sizeof *y);\n"
    "            for (int k = 0; k < n.kernel * n.kernel; k++) {\n"
    "                const int iy = oy * n.stride - n.top + k / n.kernel, ix = ox * n.stride - n.left + k % n.kernel;\n"
    "                if (iy < 0 || iy >= n.height || ix < 0 || ix >= n.width) continue;\n"
    "                const float *in = x + ((size_t)iy * (size_t)n.width + (size_t)ix) * (size_t)channels;\n"
    "                const float *w = weight + (size_t)k * (size_t)channels;\n"
    "                for (int c = 0; c < channels; c++) y[c] += in[c] * w[c];\n"
    "            }\n"
    "            for (int c = 0; c < channels; c++) y[c] = activate(y[c]);\n"
    "        }\n"
    "}\n"
    "\n"
    "/* y (channels): the mean over the pixels of x (pixels, channels). */\n"
    "static void mean_of(const float *restrict x, int pixels, int channels, float *restrict y) {\n"
    "    memset(y, 0, (size_t)channels * sizeof *y);\n"
    "    for (int p = 0; p < pixels; p++, x += channels)\n"
    "        for (int c = 0; c < channels; c++) y[c] += x[c];\n"
    "    for (int c = 0; c < channels; c++) y[c] /= (float)pixels;\n"
    "}\n"
    "\n";

static const char squeeze_excite[] =
    "/* Each channel of x (pixels, channels) times a gate between 0 and 1 that is made of all channels' means. */\n"
    "static void squeeze_excite(float *x, int pixels, int channels, int squeezed, const float *reduce_weight,\n"
    "                           const float *reduce_bias, const float *expand_weight, const float *expand_bias) {\n"
    "    float *mean = gates, *reduced = gates + channels, *gate = reduced + squeezed;\n"
    "    mean_of(x, pixels, channels, mean);\n"
    "    pointwise(mean, 1, channels, squeezed, reduce_weight, reduce_bias, 1, reduced);\n"
    "    pointwise(reduced, 1, squeezed, channels, expand_weight, expand_bias, 0, gate);\n"
    "    for (int c = 0; c < channels; c++) gate[c] = 1 / (1 + expf(-gate[c]));\n"
    "    for (int p = 0; p < pixels; p++, x += channels)\n"
    "        for (int c = 0; c < channels; c++) x[c] *= gate[c];\n"
    "}\n"
    "\n";

static const char add[] = "/* x += y, a block's input to its output. */\n"
                          "static void add(float *restrict x, const float *restrict y, int count) {\n"
                          "    for (int i = 0; i < count; i++) x[i] += y[i];\n"
                          "}\n"
                          "\n";

void c_source_layers(FILE *stream, const Network *network) {
    int room = 0; /* of squeeze-excite's means, reduced means and gates */
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        if (op->kind != OP_SQUEEZE_EXCITE) continue;
        const int wanted = 2 * network->tensors[op->input].channels + op->squeezed;
        if (wanted > room) room = wanted;
    }
    fputs("/* ---- layers: (height, width, channels), channels last --------------------------------------- */\n\n",
          stream);
    fputs(network->config.lite ? relu6 : swish, stream);
    fputs(layers, stream);
    if (room) {
        fprintf(stream, "static float gates[%d];\n\n", room);
        fputs(squeeze_excite, stream);
    }
    if (network->num_residuals) fputs(add, stream);
}

/* ---- pictures ---- */

static const char cubic[] = "/* R. Keys's cubic, a = %s. */\n"
                            "static float filter(float t) {\n"
                            "    const float a = (float)%s;\n"
                            "    t = fabsf(t);\n"
                            "    if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;\n"
                            "    if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;\n"
                            "    return 0;\n"
                            "}\n"
                            "\n";
static const char triangle[] = "static float filter(float t) {\n"
                               "    t = fabsf(t);\n"
                               "    return t < 1 ? 1 - t : 0;\n"
                               "}\n"
                               "\n";

static const char axis[] =
    "/* Along one side: output place x + offset of `whole` is made of some of `extent` source pixels. */\n"
    "typedef struct Axis {\n"
    "    int extent, whole, offset;\n"
    "} Axis;\n"
    "\n"
    "static int limited(int n, int low, int high) {\n"
    "    return n < low ? low : n > high ? high : n;\n"
    "}\n"
    "\n";

/* %d: half the filter's width. */
static const char pillow[] =
    "/* Pillow's way: a filter as wide as an output pixel. Writes the weights, which add up to 1, and the first "
    "source\n"
    " * pixel; returns how many there are. */\n"
    "static int weigh(const Axis *axis, int x, int *first, float *weights) {\n"
    "    const double scale = (double)axis->extent / axis->whole, wide = scale < 1 ? 1 : scale;\n"
    "    const double centre = (x + axis->offset + 0.5) * scale;\n"
    "    const int end = limited((int)(centre + %d * wide + 0.5), 1, axis->extent);\n"
    "    double sum = 0;\n"
    "    *first = limited((int)(centre - %d * wide + 0.5), 0, end - 1);\n"
    "    for (int i = *first; i < end; i++) sum += weights[i - *first] = filter((float)((i + 0.5 - centre) / wide));\n"
    "    for (int i = *first; i < end; i++) weights[i - *first] = (float)(weights[i - *first] / sum);\n"
    "    return end - *first;\n"
    "}\n"
    "\n";

/* %s: the point; the fraction's rounding; the tap outside. %d: taps. */
static const char point[] =
    "/* TensorFlow's or PyTorch's way: the filter at a point between pixels. Writes the weights, which add up to 1, "
    "and the\n"
    " * first source pixel; returns how many there are. */\n"
    "static int weigh(const Axis *axis, int x, int *first, float *weights) {\n"
    "    enum { TAPS = %d };\n"
    "    const float scale = (float)axis->extent / (float)axis->whole, place = (float)(x + axis->offset);\n"
    "    const float point = %s;\n"
    "    const int before = (int)floorf(point), lowest = before - TAPS / 2 + 1;\n"
    "    const int last = limited(lowest + TAPS - 1, 0, axis->extent - 1);\n"
    "    const float fraction = %s;\n"
    "    float sum = 0;\n"
    "    *first = limited(lowest, 0, axis->extent - 1);\n"
    "    memset(weights, 0, TAPS * sizeof *weights);\n"
    "    for (int k = 0; k < TAPS; k++) {\n"
    "        const int source = %s;\n"
    "        if (source < *first || source > last) continue;\n"
    "        const float weight = filter((float)(lowest + k - before) - fraction);\n"
    "        weights[source - *first] += weight;\n"
    "        sum += weight;\n"
    "    }\n"
    "    for (int i = *first; i <= last; i++) weights[i - *first] /= sum;\n"
    "    return last - *first + 1;\n"
    "}\n"
    "\n";

static void write_weigh(FILE *stream, const EvaluationTransform *how) {
    const bool bicubic = how->interpolation == INTERPOLATION_BICUBIC, is_pillow = how->resize == RESIZE_PILLOW;
    const char *a = is_pillow || how->resize == RESIZE_TENSORFLOW ? "-0.5" : "-0.75";
    if (bicubic)
        fprintf(stream, cubic, a, a);
    else
        fputs(triangle, stream);
    fputs(axis, stream);
    if (is_pillow) {
        fprintf(stream, pillow, bicubic ? 2 : 1, bicubic ? 2 : 1);
        return;
    }
    const char *middle = how->resize == RESIZE_TENSORFLOW1 ? "place * scale" : "(place + 0.5f) * scale - 0.5f";
    const char *fraction = bicubic && how->resize != RESIZE_TORCH ? "rintf((point - (float)before) * 1024) / 1024"
                                                                  : "point - (float)before";
    const char *outside = bicubic && how->resize == RESIZE_TENSORFLOW ? "lowest + k" /* is left out */
                                                                      : "limited(lowest + k, 0, axis->extent - 1)";
    fprintf(stream, point, bicubic ? 4 : 2, middle, fraction, outside);
}

/* Sides are resized in proportion to each other, not by the shorter one: crop.c's crop_of_resized. */
static bool keeps_proportion(const EvaluationTransform *how) {
    return how->val_crop == VAL_CROP_RESIZE_SHORTER &&
           side_before_crop(how->input.height, how->crop_pct) != side_before_crop(how->input.width, how->crop_pct);
}

/* The box of the picture that is used, and its two axes; may reach over the edges. */
static void write_box(FILE *stream, const EvaluationTransform *how) {
    const TensorShape input = how->input;
    char share[40];
    number_print(share, sizeof share, "%.17g", how->crop_pct);
    if (how->pad_to)
        fprintf(stream,
                "    /* smaller pictures lie in the middle of a black canvas of %d x %d */\n"
                "    int high = height < %d ? %d : height, wide = width < %d ? %d : width;\n"
                "    int top = -((high - height) / 2), left = -((wide - width) / 2);\n",
                (int)how->pad_to, (int)how->pad_to, (int)how->pad_to, (int)how->pad_to, (int)how->pad_to,
                (int)how->pad_to);
    else
        fputs("    int high = height, wide = width, top = 0, left = 0;\n", stream);
    if (how->val_crop == VAL_CROP_CENTER) {
        fprintf(stream,
                "    /* %s of each side of the largest part with the input's proportions, in the middle */\n"
                "    int box_high = (int)(%s * fmin(high, (double)wide * %d / %d));\n"
                "    int box_wide = (int)(%s * fmin(wide, (double)high * %d / %d));\n"
                "    if (box_high < 1) box_high = 1;\n"
                "    if (box_wide < 1) box_wide = 1;\n"
                "    top += (high - box_high + 1) / 2;\n"
                "    left += (wide - box_wide + 1) / 2;\n"
                "    high = box_high, wide = box_wide;\n",
                share, share, input.height, input.width, share, input.width, input.height);
    }
    if (how->val_crop != VAL_CROP_RESIZE_SHORTER) {
        fprintf(stream, "    const Axis down = {high, %d, 0}, across = {wide, %d, 0};\n", input.height, input.width);
        return;
    }
    const int down = side_before_crop(input.height, how->crop_pct),
              across = side_before_crop(input.width, how->crop_pct);
    if (down == across)
        fprintf(stream,
                "    /* the shorter side becomes %d, the other in proportion, and of that the middle is made */\n"
                "    const int shorter = high < wide ? high : wide;\n"
                "    Axis down = {high, (int)(%dLL * high / shorter), 0}, across = {wide, (int)(%dLL * wide / "
                "shorter), 0};\n",
                down, down, down);
    else
        fprintf(
            stream,
            "    /* resized in proportion to %d x %d or more, as near as can be, and of that the middle is made */\n"
            "    const int tall = in_proportion(high, %d, wide), broad = in_proportion(wide, %d, high);\n"
            "    Axis down = {high, tall > %d ? tall : %d, 0}, across = {wide, broad > %d ? broad : %d, 0};\n",
            down, across, across, down, down, down, across, across);
    fprintf(stream,
            "    down.offset = (int)rint((down.whole - %d) / 2.0);\n"
            "    across.offset = (int)rint((across.whole - %d) / 2.0);\n",
            input.height, input.width);
}

static void write_channels(FILE *stream, const char *name, const double *values, int channels) {
    fprintf(stream, "    static const float %s[%d] = {", name, channels);
    for (int c = 0; c < channels; c++) {
        char text[40];
        number_print(text, sizeof text, "%.9g", values[c]);
        fprintf(stream, "%s%s", c ? ", " : "", text);
    }
    fputs("};\n", stream);
}

void c_source_prepare(FILE *stream, const char *prefix, const EvaluationTransform *how) {
    const TensorShape input = how->input;
    const int shorter = input.height < input.width ? input.height : input.width;
    const bool keep = how->overshoot == OVERSHOOT_KEEP;
    const bool clips = how->resize == RESIZE_PILLOW && how->interpolation == INTERPOLATION_BICUBIC && !keep;
    double scale[MOST_CHANNELS], shift[MOST_CHANNELS];
    evaluation_transform_levels(how, scale, shift);
    fputs("/* ---- a picture becomes the network's input --------------------------------------------------- */\n\n",
          stream);
    write_weigh(stream, how);
    if (keeps_proportion(how))
        fputs("/* side * scaled / other, rounded, halves to the even number. */\n"
              "static int in_proportion(long long side, long long scaled, long long other) {\n"
              "    const long long whole = side * scaled / other, rest = 2 * (side * scaled % other);\n"
              "    return (int)(whole + (rest > other || (rest == other && whole % 2)));\n"
              "}\n\n",
              stream);
    fprintf(stream,
            "/* A weight for each source pixel of an output pixel, at most: of pictures of 30,000 pixels a side. */\n"
            "enum { MOST_SIDE = 30000, MOST_WEIGHTS = 4 * (MOST_SIDE / %d + 1) + 2 };\n"
            "static float row_weights[MOST_WEIGHTS], column_weights[MOST_WEIGHTS];\n\n"
            "int %s_prepare(const unsigned char *pixels, int height, int width, float *input) {\n",
            shorter, prefix);
    write_channels(stream, "scale", scale, input.channels);
    write_channels(stream, "shift", shift, input.channels);
    fputs("    if (height < 1 || width < 1 || height > MOST_SIDE || width > MOST_SIDE) return -1;\n", stream);
    write_box(stream, how);
    fprintf(stream,
            "    for (int x = 0; x < %d; x++) {\n"
            "        int first_column, columns = weigh(&across, x, &first_column, column_weights);\n"
            "        for (int y = 0; y < %d; y++) {\n"
            "            int first_row, rows = weigh(&down, y, &first_row, row_weights);\n"
            "            float level[%d] = {0};\n"
            "            for (int j = 0; j < rows; j++) {\n"
            "                const int row = top + first_row + j;\n"
            "                float sum[%d] = {0};\n"
            "                for (int i = 0; i < columns; i++) {\n"
            "                    const int column = left + first_column + i;\n"
            "                    if (row < 0 || row >= height || column < 0 || column >= width) continue;\n"
            "                    const unsigned char *pixel = pixels + %d * ((size_t)row * (size_t)width + "
            "(size_t)column);\n"
            "                    for (int c = 0; c < %d; c++) sum[c] += column_weights[i] * pixel[c];\n"
            "                }\n"
            "                for (int c = 0; c < %d; c++) level[c] += row_weights[j] * %s;\n"
            "            }\n"
            "            for (int c = 0; c < %d; c++)\n"
            "                input[%d * (y * %d + x) + c] = %s * scale[c] + shift[c];\n"
            "        }\n"
            "    }\n"
            "    return 0;\n"
            "}\n\n",
            input.width, input.height, input.channels, input.channels, input.channels, input.channels, input.channels,
            clips ? "fminf(fmaxf(sum[c], 0), 255)" : "sum[c]", input.channels, input.channels, input.width,
            keep ? "level[c]" : "fminf(fmaxf(level[c], 0), 255)");
}
