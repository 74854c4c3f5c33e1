/* onnx_picture.h - a picture of any size becomes the network's input inside an ONNX graph. Private to src/format. */
#ifndef EFFNET_FORMAT_ONNX_PICTURE_H
#define EFFNET_FORMAT_ONNX_PICTURE_H

#include "format/onnx_graph.h"
#include "recipe/evaluation_transform.h"

/* The graph's input: (N, H, W, 3) bytes, RGB; all of a batch are of one size, sides at most 30,000 pixels. */
#define ONNX_PICTURE "image"

/* Adds the nodes from ONNX_PICTURE to (N, 3, height, width) floats, normalised; returns their name. */
char *onnx_add_picture(OnnxGraph *graph, const EvaluationTransform *how);

#endif
