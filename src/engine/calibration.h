/* calibration.h - which ranges a network's tensors have on some pictures, for static_bytes.h.
 *
 * Two rounds over the same pictures: the first finds each tensor's least and largest value, the second counts values in
 * BINS equal parts between, and takes each channel's mean. A range then leaves out the same small share of the values at
 * each end, those beyond a percentile: a single far value would widen the steps of all others. */
#ifndef EFFNET_ENGINE_CALIBRATION_H
#define EFFNET_ENGINE_CALIBRATION_H

#include "engine/static_bytes.h"

typedef struct Calibration Calibration;

effnet_status calibration_create(const Network *network, Calibration **out, effnet_error *err);
void calibration_free(Calibration *calibration);
/* `context` is a Calibration: a look for StoredTensors, which changes nothing. Values count as the activation behind them
 * leaves them. */
void calibration_look(void *context, int tensor, float *values, size_t count);
/* Between the rounds. A value that is no number is EFFNET_ERROR_NUMERIC, with its layer. */
effnet_status calibration_second_round(Calibration *calibration, effnet_error *err);
/* Of every tensor that is rounded; percentile: per cent of the values, above 50 to 100. *out (tensors) is freed by
 * free(). */
effnet_status calibration_ranges(const Calibration *calibration, double percentile, ByteRange **out, effnet_error *err);
/* After the second round: of every tensor the mean of each channel, (tensors)(channels); the calibration's. */
float *const *calibration_means(const Calibration *calibration);

#endif
