/* onnx_read.h - an ONNX file that onnx_write made, read back: metadata and weights. Not for those of other programs: what
 * their nodes compute is not looked at. */
#ifndef EFFNET_FORMAT_ONNX_READ_H
#define EFFNET_FORMAT_ONNX_READ_H

#include "engine/static_bytes.h"

typedef struct OnnxFile OnnxFile;

/* *out is freed by onnx_close. */
effnet_status onnx_open(const char *path, OnnxFile **out, effnet_error *err);
void onnx_close(OnnxFile *file);
/* A value of the metadata, or NULL; owned by the file. */
const char *onnx_metadata(const OnnxFile *file, const char *key);
/* The graph, nodes and weights, is byte for byte what was written; EFFNET_ERROR_FORMAT where it is not, or where the file
 * does not say. */
effnet_status onnx_verify(const OnnxFile *file, effnet_error *err);
/* The network's weights and statistics. Where batch norm is folded into the convolutions, the batch norms become those
 * that add a bias and nothing else: mean 0, variance 1 - eps, scale 1. */
effnet_status onnx_read_weights(const OnnxFile *file, const Network *network, float *parameters, float *statistics,
                                effnet_error *err);
/* Of a file with bytes of fixed ranges: those of the tensors, (tensors), freed by free(). *out is NULL where the file has
 * none. */
effnet_status onnx_read_ranges(const OnnxFile *file, const Network *network, ByteRange **out, effnet_error *err);

#endif
