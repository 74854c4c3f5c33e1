/* features.h - what a trained network makes of every picture of a data set, before its classifier: the pooled features, as
 * the evaluation sees the pictures. */
#ifndef EFFNET_TRAIN_FEATURES_H
#define EFFNET_TRAIN_FEATURES_H

#include "data/feed/loader.h"
#include "train/probe.h"
#include "executor/executor.h"
#include "train/model_card.h"

typedef struct FeatureSet {
    ProbeData data; /* rows in the data set's order, once for each view, mirrored ones beside their batch; views of: */
    float *values;
    int32_t *labels, *pictures;
    int64_t skipped; /* pictures that could not be read */
} FeatureSet;

typedef struct FeatureOptions {
    const Network *network;
    const float *parameters;
    float *statistics; /* not changed */
    const Recipe *recipe;
    const Dataset *dataset;
    int views;     /* rows of a picture: 1, as it is evaluated; 2, also all of its shorter side; 3, also its middle */
    bool mirrored; /* and each of them from right to left: twice as many */
    ThreadTeam *team;
    effnet_progress_function *progress; /* phase "features", with pictures done; may be NULL */
    void *progress_context;
} FeatureOptions;

/* EFFNET_INTERRUPTED where the progress function says so. Freed by features_free, after an error too. */
effnet_status features_collect(const FeatureOptions *options, FeatureSet *out, effnet_error *err);
void features_free(FeatureSet *features);

#endif
