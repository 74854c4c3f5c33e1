/* onnx_picture.h - a picture of any size becomes the network's input inside an ONNX graph. Private to src/format. */
#ifndef EFFNET_FORMAT_ONNX_PICTURE_H
#define EFFNET_FORMAT_ONNX_PICTURE_H

#include "format/onnx_graph.h"
#include "recipe/recipe.h"

/* The graph's input: (N, H, W, 3) bytes, RGB; all of a batch are of one size, sides at most 30,000 pixels. */
#define ONNX_PICTURE "image"

/* Adds the nodes from ONNX_PICTURE to (N, 3, side, side) floats, normalised; returns their name. Read of `how`: val_crop,
 * crop_pct, interpolation, resize, overshoot, pad_to, mean, std, normalize. */
char *onnx_add_picture(OnnxGraph *graph, const Recipe *how, int side);

#endif
