/* onnx_picture.c - see onnx_picture.h: what data/transform does to a picture in evaluation, written as ONNX operators.
 *
 *   bytes (N, H, W, channels) -> canvas (pad_to) -> crop -> floats (N, 3, h, w) -> across: times (w, width) -> down:
 *   (height, h) times -> (level / 255 - mean) / std
 *
 * Resizing is linear along each side, so it is two products with matrices; ONNX's own Resize differs between programs and
 * operator sets, a product does not. The matrices depend on the picture's size and are computed in the graph.
 *
 * Pillow's way (data/transform/resize_axis.c): source pixel i of `extent` weighs filter(t) in output x of `whole`,
 *   t = |(i + 1/2) - (x + 1/2) * extent / whole| / max(extent / whole, 1)
 *     = |(2i + 1) * whole - (2x + 1) * extent| / (2 * max(extent, whole)),
 * normalised to 1 over i. The second form is exact in whole numbers up to the division: the same weights as in doubles.
 *
 * Shapes, sides and places are int64, pixels and weights float32. */
#include "format/onnx_picture.h"

enum { MOST_SIDE = 30000 }; /* of a picture, as everywhere in data/ */

typedef struct Builder {
    OnnxGraph *graph;
    const EvaluationTransform *how;
} Builder;

/* ---- nodes and numbers ---- */

static char *node_of(Builder *builder, const char *name, const char *op, char *const *inputs, Onnx__NodeProto **made) {
    char *output = onnx_name(builder->graph, "picture/%s", name);
    Onnx__NodeProto *node = builder->graph->failed ? NULL : onnx_node(builder->graph, op, output, inputs);
    if (made) *made = node;
    return output;
}

static char *one(Builder *builder, const char *name, const char *op, char *a) {
    char *const inputs[] = {a, NULL};
    return node_of(builder, name, op, inputs, NULL);
}

static char *two(Builder *builder, const char *name, const char *op, char *a, char *b) {
    char *const inputs[] = {a, b, NULL};
    return node_of(builder, name, op, inputs, NULL);
}

static char *number(Builder *builder, float value) {
    char *name = onnx_name(builder->graph, "number/%zu", builder->graph->num_constants);
    float *place = onnx_constant(builder->graph, name, 0, NULL);
    if (place) *place = value;
    return name;
}

/* A whole number, as a scalar. */
static char *whole_number(Builder *builder, int64_t value) {
    char *name = onnx_name(builder->graph, "whole_number/%zu", builder->graph->num_constants);
    int64_t *place = onnx_integers(builder->graph, name, 0, NULL);
    if (place) *place = value;
    return name;
}

/* (1): what Concat and Slice take. */
static char *listed(Builder *builder, int64_t value) {
    char *name = onnx_name(builder->graph, "list/%zu", builder->graph->num_constants);
    int64_t *place = onnx_integers(builder->graph, name, 1, (int[]){1});
    if (place) *place = value;
    return name;
}

static char *to_type(Builder *builder, const char *name, char *input, OnnxType type) {
    char *const inputs[] = {input, NULL};
    Onnx__NodeProto *node;
    char *output = node_of(builder, name, "Cast", inputs, &node);
    onnx_attribute_int(builder->graph, node, "to", type);
    return output;
}

static char *transposed(Builder *builder, const char *name, char *input, int rank, const int64_t *order) {
    char *const inputs[] = {input, NULL};
    Onnx__NodeProto *node;
    char *output = node_of(builder, name, "Transpose", inputs, &node);
    onnx_attribute_ints(builder->graph, node, "perm", rank, order);
    return output;
}

/* Scalars as one list. */
static char *concatenated(Builder *builder, const char *name, char *const *scalars, int count) {
    char *lists[5] = {NULL};
    for (int i = 0; i < count; i++)
        lists[i] =
            two(builder, onnx_name(builder->graph, "%s/%d", name, i), "Unsqueeze", scalars[i], listed(builder, 0));
    Onnx__NodeProto *node;
    char *output = node_of(builder, name, "Concat", lists, &node);
    onnx_attribute_int(builder->graph, node, "axis", 0);
    return output;
}

/* ---- which part of the picture ---- */

/* A picture and its sides, scalars. */
typedef struct Canvas {
    char *pixels, *height, *width; /* pixels (N, height, width, channels) */
} Canvas;

static char *half_of(Builder *builder, const char *name, char *value) {
    return two(builder, name, "Div", value, whole_number(builder, 2));
}

/* data/picture/crop.c's crop_canvas: smaller pictures in the middle of a black canvas. */
static Canvas padded(Builder *builder, Canvas in) {
    char *least = whole_number(builder, builder->how->pad_to), *zero = whole_number(builder, 0);
    Canvas out = {.height = two(builder, "canvas_height", "Max", in.height, least),
                  .width = two(builder, "canvas_width", "Max", in.width, least)};
    char *down = two(builder, "rows_added", "Sub", out.height, in.height);
    char *across = two(builder, "columns_added", "Sub", out.width, in.width);
    char *top = half_of(builder, "rows_above", down), *left = half_of(builder, "columns_before", across);
    char *const before[] = {zero, top, left, zero};
    char *const after[] = {zero, two(builder, "rows_below", "Sub", down, top),
                           two(builder, "columns_behind", "Sub", across, left), zero};
    char *pads = concatenated(builder, "pads_before", before, 4),
         *behind = concatenated(builder, "pads_behind", after, 4);
    char *const halves[] = {pads, behind, NULL};
    Onnx__NodeProto *node;
    char *both = node_of(builder, "pads", "Concat", halves, &node);
    onnx_attribute_int(builder->graph, node, "axis", 0);
    out.pixels = two(builder, "canvas", "Pad", in.pixels, both);
    return out;
}

/* A list by a picture's side, 0 and on: (int)(share * (side * numerator / denominator)), at least 1. Sides are looked
 * up, for not every program computes in doubles. */
static char *side_table(Builder *builder, const char *name, int numerator, int denominator) {
    char *table = onnx_name(builder->graph, "%s", name);
    int64_t *sides = onnx_integers(builder->graph, table, 1, (int[]){MOST_SIDE + 1});
    for (int i = 0; sides && i <= MOST_SIDE; i++) {
        sides[i] = (int)(builder->how->crop_pct * ((double)i * numerator / denominator));
        if (sides[i] < 1) sides[i] = 1;
    }
    return table;
}

/* crop_center's sides: a square's is that of the shorter side; of another shape each is the smaller of what its own side
 * and what the other one leaves of it. */
static void crop_sides(Builder *builder, Canvas in, char *sides[2]) {
    const TensorShape input = builder->how->input;
    char *own = side_table(builder, "crop_sides", 1, 1);
    if (input.height == input.width) {
        sides[0] = sides[1] =
            two(builder, "crop_side", "Gather", own, two(builder, "shorter", "Min", in.height, in.width));
        return;
    }
    char *rows = side_table(builder, "crop_rows_of_columns", input.height, input.width);
    char *columns = side_table(builder, "crop_columns_of_rows", input.width, input.height);
    sides[0] = two(builder, "crop_rows", "Min", two(builder, "crop_rows_own", "Gather", own, in.height),
                   two(builder, "crop_rows_like", "Gather", rows, in.width));
    sides[1] = two(builder, "crop_columns", "Min", two(builder, "crop_columns_own", "Gather", own, in.width),
                   two(builder, "crop_columns_like", "Gather", columns, in.height));
}

/* crop_center: a part with the input's proportions, in the middle, halves upwards. */
static Canvas central_part(Builder *builder, Canvas in) {
    static const char *const names[2][4] = {{"crop_rows_less_one", "crop_rows_left", "crop_top", "crop_bottom"},
                                            {"crop_columns_less_one", "crop_columns_left", "crop_left", "crop_right"}};
    char *const wholes[2] = {in.height, in.width};
    char *sides[2], *from[2], *to[2];
    crop_sides(builder, in, sides);
    for (int i = 0; i < 2; i++) {
        char *beyond = two(builder, names[i][0], "Sub", sides[i], whole_number(builder, 1));
        from[i] = half_of(builder, names[i][2], two(builder, names[i][1], "Sub", wholes[i], beyond));
        to[i] = two(builder, names[i][3], "Add", from[i], sides[i]);
    }
    char *axes = onnx_name(builder->graph, "crop_axes");
    int64_t *numbers = onnx_integers(builder->graph, axes, 1, (int[]){2});
    if (numbers) numbers[0] = 1, numbers[1] = 2;
    char *const inputs[] = {in.pixels, concatenated(builder, "crop_from", from, 2),
                            concatenated(builder, "crop_to", to, 2), axes, NULL};
    return (Canvas){node_of(builder, "crop", "Slice", inputs, NULL), sides[0], sides[1]};
}

/* ---- the matrix of an axis ---- */

/* Output places offset .. offset + outputs - 1 of `whole` from `extent` source places; all scalars. */
typedef struct Axis {
    const char *name;
    int outputs;
    char *extent, *whole, *offset;
} Axis;

static char *named(Builder *builder, const Axis *axis, const char *what) {
    return onnx_name(builder->graph, "%s/%s", axis->name, what);
}

/* (outputs, 1): offset, offset + 1, ... */
static char *output_places(Builder *builder, const Axis *axis) {
    char *name = onnx_name(builder->graph, "%s_places", axis->name);
    int64_t *places = onnx_integers(builder->graph, name, 2, (int[]){axis->outputs, 1});
    for (int x = 0; places && x < axis->outputs; x++) places[x] = x;
    return two(builder, named(builder, axis, "output"), "Add", name, axis->offset);
}

/* (extent): 0, 1, ... */
static char *source_places(Builder *builder, const Axis *axis) {
    char *const inputs[] = {whole_number(builder, 0), axis->extent, whole_number(builder, 1), NULL};
    return node_of(builder, named(builder, axis, "source"), "Range", inputs, NULL);
}

static char *twice_and_one(Builder *builder, const Axis *axis, const char *what, char *places) {
    char *twice = two(builder, named(builder, axis, onnx_name(builder->graph, "%s_twice", what)), "Mul", places,
                      whole_number(builder, 2));
    return two(builder, named(builder, axis, onnx_name(builder->graph, "%s_middle", what)), "Add", twice,
               whole_number(builder, 1));
}

/* Keys's cubic of t: up to 1 ((a + 2) t - (a + 3)) t^2 + 1, from 1 to 2 (((t - 5) t + 8) t - 4) a. */
static char *cubic_near(Builder *builder, const Axis *axis, const char *what, char *t, float a) {
    char *value = two(builder, named(builder, axis, onnx_name(builder->graph, "%s_near_1", what)), "Mul", t,
                      number(builder, a + 2));
    value = two(builder, named(builder, axis, onnx_name(builder->graph, "%s_near_2", what)), "Sub", value,
                number(builder, a + 3));
    value = two(builder, named(builder, axis, onnx_name(builder->graph, "%s_near_3", what)), "Mul", value, t);
    value = two(builder, named(builder, axis, onnx_name(builder->graph, "%s_near_4", what)), "Mul", value, t);
    return two(builder, named(builder, axis, onnx_name(builder->graph, "%s_near", what)), "Add", value,
               number(builder, 1));
}

static char *cubic_far(Builder *builder, const Axis *axis, const char *what, char *t, float a) {
    static const struct {
        const char *op;
        float value; /* 0: t */
    } steps[] = {{"Sub", 5}, {"Mul", 0}, {"Add", 8}, {"Mul", 0}, {"Sub", 4}};
    char *value = t;
    for (int i = 0; i < 5; i++)
        value = two(builder, named(builder, axis, onnx_name(builder->graph, "%s_far_%d", what, i + 1)), steps[i].op,
                    value, steps[i].value != 0 ? number(builder, steps[i].value) : t);
    return two(builder, named(builder, axis, onnx_name(builder->graph, "%s_far", what)), "Mul", value,
               number(builder, a));
}

static char *divided_by_its_sums(Builder *builder, const Axis *axis, char *weights) {
    char *const inputs[] = {weights, listed(builder, 1), NULL};
    Onnx__NodeProto *node;
    char *sums = node_of(builder, named(builder, axis, "sums"), "ReduceSum", inputs, &node);
    onnx_attribute_int(builder->graph, node, "keepdims", 1);
    return two(builder, named(builder, axis, "weights"), "Div", weights, sums);
}

/* (outputs, extent), Pillow's. */
static char *widened_matrix(Builder *builder, const Axis *axis) {
    char *source = twice_and_one(builder, axis, "source", source_places(builder, axis));
    char *output = twice_and_one(builder, axis, "output", output_places(builder, axis));
    char *distance = two(builder, named(builder, axis, "distance"), "Sub",
                         two(builder, named(builder, axis, "source_scaled"), "Mul", source, axis->whole),
                         two(builder, named(builder, axis, "output_scaled"), "Mul", output, axis->extent));
    char *wider = two(builder, named(builder, axis, "wider"), "Max", axis->extent, axis->whole);
    char *unit = two(builder, named(builder, axis, "unit"), "Mul", wider, whole_number(builder, 2));
    char *t = two(builder, named(builder, axis, "t"), "Div",
                  to_type(builder, named(builder, axis, "distance_float"),
                          one(builder, named(builder, axis, "distance_size"), "Abs", distance), ONNX_FLOAT),
                  to_type(builder, named(builder, axis, "unit_float"), unit, ONNX_FLOAT));
    char *weights;
    if (builder->how->interpolation == INTERPOLATION_BILINEAR) {
        char *fall = two(builder, named(builder, axis, "fall"), "Sub", number(builder, 1), t);
        weights = one(builder, named(builder, axis, "triangle"), "Relu", fall);
    } else {
        char *limited = two(builder, named(builder, axis, "t_limited"), "Min", t, number(builder, 2));
        char *const inputs[] = {two(builder, named(builder, axis, "is_near"), "Less", limited, number(builder, 1)),
                                cubic_near(builder, axis, "cubic", limited, -0.5F),
                                cubic_far(builder, axis, "cubic", limited, -0.5F), NULL};
        weights = node_of(builder, named(builder, axis, "cubic"), "Where", inputs, NULL);
    }
    return divided_by_its_sums(builder, axis, weights);
}

/* The place between source pixels that each output is sampled at, (outputs, 1), in float32 as TensorFlow and PyTorch. */
static char *sampling_points(Builder *builder, const Axis *axis) {
    char *scale = two(builder, named(builder, axis, "scale"), "Div",
                      to_type(builder, named(builder, axis, "extent_float"), axis->extent, ONNX_FLOAT),
                      to_type(builder, named(builder, axis, "whole_float"), axis->whole, ONNX_FLOAT));
    char *place = to_type(builder, named(builder, axis, "output_float"), output_places(builder, axis), ONNX_FLOAT);
    if (builder->how->resize == RESIZE_TENSORFLOW1)
        return two(builder, named(builder, axis, "points"), "Mul", place, scale);
    char *middle = two(builder, named(builder, axis, "output_middle"), "Add", place, number(builder, 0.5F));
    char *scaled = two(builder, named(builder, axis, "points_scaled"), "Mul", middle, scale);
    return two(builder, named(builder, axis, "points"), "Sub", scaled, number(builder, 0.5F));
}

/* The weight (outputs, 1) of the k-th tap of a point `fraction` behind a pixel. */
static char *tap_weight(Builder *builder, const Axis *axis, int k, char *fraction, float a) {
    char *what = onnx_name(builder->graph, "tap_%d", k), *one_more = number(builder, 1);
    if (builder->how->interpolation == INTERPOLATION_BILINEAR)
        return k ? fraction : two(builder, named(builder, axis, what), "Sub", one_more, fraction);
    char *place = named(builder, axis, onnx_name(builder->graph, "%s_t", what));
    switch (k) { /* pixels k - 1 from the one before the point */
    case 0:
        return cubic_far(builder, axis, what, two(builder, place, "Add", fraction, one_more), a);
    case 1:
        return cubic_near(builder, axis, what, fraction, a);
    case 2:
        return cubic_near(builder, axis, what, two(builder, place, "Sub", one_more, fraction), a);
    default:
        return cubic_far(builder, axis, what, two(builder, place, "Sub", number(builder, 2), fraction), a);
    }
}

/* (outputs, extent), TensorFlow's and PyTorch's: two or four taps at a point. */
static char *point_matrix(Builder *builder, const Axis *axis) {
    const int method = builder->how->resize;
    const bool cubic = builder->how->interpolation == INTERPOLATION_BICUBIC;
    const bool leave_out = cubic && method == RESIZE_TENSORFLOW; /* else the edge stands for what is outside */
    const float a = method == RESIZE_TENSORFLOW ? -0.5F : -0.75F;
    char *points = sampling_points(builder, axis), *source = source_places(builder, axis);
    char *before = one(builder, named(builder, axis, "before"), "Floor", points);
    char *fraction = two(builder, named(builder, axis, "fraction"), "Sub", points, before);
    if (cubic && method != RESIZE_TORCH) { /* TensorFlow's table of 1,024 steps */
        char *steps = two(builder, named(builder, axis, "steps"), "Mul", fraction, number(builder, 1024));
        steps = one(builder, named(builder, axis, "steps_whole"), "Round", steps);
        fraction = two(builder, named(builder, axis, "fraction_of_steps"), "Div", steps, number(builder, 1024));
    }
    char *lowest = to_type(builder, named(builder, axis, "before_whole"), before, ONNX_INT64), *sum = NULL;
    char *last = two(builder, named(builder, axis, "last"), "Sub", axis->extent, whole_number(builder, 1));
    for (int k = 0; k < (cubic ? 4 : 2); k++) {
        char *tap = onnx_name(builder->graph, "tap_%d_place", k);
        char *place = two(builder, named(builder, axis, tap), "Add", lowest, whole_number(builder, k - cubic));
        if (!leave_out) {
            place = two(builder, named(builder, axis, onnx_name(builder->graph, "%s_above", tap)), "Max", place,
                        whole_number(builder, 0));
            place = two(builder, named(builder, axis, onnx_name(builder->graph, "%s_inside", tap)), "Min", place, last);
        }
        char *here =
            two(builder, named(builder, axis, onnx_name(builder->graph, "%s_is", tap)), "Equal", place, source);
        here = to_type(builder, named(builder, axis, onnx_name(builder->graph, "%s_float", tap)), here, ONNX_FLOAT);
        char *share = two(builder, named(builder, axis, onnx_name(builder->graph, "%s_share", tap)), "Mul", here,
                          tap_weight(builder, axis, k, fraction, a));
        sum = sum ? two(builder, named(builder, axis, onnx_name(builder->graph, "%s_sum", tap)), "Add", sum, share)
                  : share;
    }
    return leave_out ? divided_by_its_sums(builder, axis, sum) : sum;
}

static char *matrix(Builder *builder, const Axis *axis) {
    return builder->how->resize == RESIZE_PILLOW ? widened_matrix(builder, axis) : point_matrix(builder, axis);
}

/* ---- resizing ---- */

/* a * b / c, rounded, halves to the even number, for c above 0 and quotients that are not negative: (2ab + c) / 2c, less 1
 * where that is exact, a half rounded upwards, and odd. */
static char *rounded_quotient(Builder *builder, const Axis *axis, char *a, char *b, char *c) {
    char *two_of = whole_number(builder, 2);
    char *product = two(builder, named(builder, axis, "product"), "Mul", a, b);
    char *above = two(builder, named(builder, axis, "product_and_half"), "Add",
                      two(builder, named(builder, axis, "product_twice"), "Mul", product, two_of), c);
    char *below = two(builder, named(builder, axis, "other_twice"), "Mul", c, two_of);
    char *upwards = two(builder, named(builder, axis, "rounded_upwards"), "Div", above, below);
    char *exact = two(builder, named(builder, axis, "is_half"), "Equal",
                      two(builder, named(builder, axis, "rest"), "Mod", above, below), whole_number(builder, 0));
    char *odd = two(builder, named(builder, axis, "parity"), "Mod", upwards, two_of);
    char *less = two(builder, named(builder, axis, "half_upwards"), "Mul", odd,
                     to_type(builder, named(builder, axis, "is_half_whole"), exact, ONNX_INT64));
    return two(builder, named(builder, axis, "rounded"), "Sub", upwards, less);
}

/* What is made of a side: crop.c's crop_of_resized, the side in proportion and where the input's part of it begins,
 * (whole - outputs) / 2 with halves to the even number; or else the side of the output itself. `other`: the picture's
 * other side, which becomes other_outputs. */
static Axis axis_of(Builder *builder, const char *name, int outputs, char *extent, int other_outputs, char *other) {
    Axis axis = {.name = name, .outputs = outputs, .extent = extent};
    if (builder->how->val_crop != VAL_CROP_RESIZE_SHORTER) {
        axis.whole = whole_number(builder, outputs);
        axis.offset = whole_number(builder, 0);
        return axis;
    }
    const int from = side_before_crop(outputs, builder->how->crop_pct),
              other_from = side_before_crop(other_outputs, builder->how->crop_pct);
    if (from == other_from) {
        char *shorter = two(builder, named(builder, &axis, "shorter"), "Min", extent, other);
        char *scaled = two(builder, named(builder, &axis, "extent_scaled"), "Mul", extent, whole_number(builder, from));
        axis.whole = two(builder, named(builder, &axis, "whole"), "Div", scaled, shorter);
    } else { /* the other side decides where the quotient is the larger */
        char *like = rounded_quotient(builder, &axis, extent, whole_number(builder, other_from), other);
        axis.whole = two(builder, named(builder, &axis, "whole"), "Max", like, whole_number(builder, from));
    }
    char *left = two(builder, named(builder, &axis, "left_out"), "Sub", axis.whole, whole_number(builder, outputs));
    char *odd = two(builder, named(builder, &axis, "half_parity"), "Mod",
                    half_of(builder, named(builder, &axis, "half"), left), whole_number(builder, 2));
    char *even = two(builder, named(builder, &axis, "left_out_to_even"), "Add", left, odd);
    axis.offset = half_of(builder, named(builder, &axis, "offset"), even);
    return axis;
}

static char *clipped(Builder *builder, const char *name, char *levels) {
    char *const inputs[] = {levels, number(builder, 0), number(builder, 255), NULL};
    return node_of(builder, name, "Clip", inputs, NULL);
}

static char *resized(Builder *builder, Canvas in) {
    const EvaluationTransform *how = builder->how;
    const bool keep = how->overshoot == OVERSHOOT_KEEP;
    const TensorShape input = how->input;
    Axis across = axis_of(builder, "across", input.width, in.width, input.height, in.height),
         down = axis_of(builder, "down", input.height, in.height, input.width, in.width);
    char *planes = transposed(builder, "planes", in.pixels, 4, (int64_t[]){0, 3, 1, 2});
    char *levels = to_type(builder, "levels", planes, ONNX_FLOAT);
    char *columns = transposed(builder, "across/matrix", matrix(builder, &across), 2, (int64_t[]){1, 0});
    levels = two(builder, "levels_across", "MatMul", levels, columns);
    if (how->resize == RESIZE_PILLOW && how->interpolation == INTERPOLATION_BICUBIC && !keep)
        levels = clipped(builder, "levels_across_clipped", levels);
    levels = two(builder, "levels_down", "MatMul", matrix(builder, &down), levels);
    return keep ? levels : clipped(builder, "levels_down_clipped", levels);
}

/* level * 1 / (255 std) - mean / std. */
static char *normalised(Builder *builder, char *levels) {
    const int channels = builder->how->input.channels;
    double scales[MOST_CHANNELS], shifts[MOST_CHANNELS];
    evaluation_transform_levels(builder->how, scales, shifts);
    char *names[2] = {onnx_name(builder->graph, "level_scale"), onnx_name(builder->graph, "level_shift")};
    float *scale = onnx_constant(builder->graph, names[0], 3, (int[]){channels, 1, 1});
    float *shift = onnx_constant(builder->graph, names[1], 3, (int[]){channels, 1, 1});
    for (int c = 0; scale && shift && c < channels; c++) {
        scale[c] = (float)scales[c];
        shift[c] = (float)shifts[c];
    }
    return two(builder, "normalised", "Add", two(builder, "scaled", "Mul", levels, names[0]), names[1]);
}

char *onnx_add_picture(OnnxGraph *graph, const EvaluationTransform *how) {
    Builder builder = {graph, how};
    char *shape = one(&builder, "shape", "Shape", onnx_name(graph, ONNX_PICTURE));
    Canvas canvas = {.pixels = onnx_name(graph, ONNX_PICTURE),
                     .height = two(&builder, "height", "Gather", shape, whole_number(&builder, 1)),
                     .width = two(&builder, "width", "Gather", shape, whole_number(&builder, 2))};
    if (how->pad_to) canvas = padded(&builder, canvas);
    if (how->val_crop == VAL_CROP_CENTER) canvas = central_part(&builder, canvas);
    return normalised(&builder, resized(&builder, canvas));
}
