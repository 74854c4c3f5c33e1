/* run_header.h - what a run is, in a few lines to a person, before its first step. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_HEADER_H
#define EFFNET_TRAIN_RUN_HEADER_H

#include "train/run.h"

enum { RUN_HEADER_LINES = 3, RUN_HEADER_BYTES = 1400 };

/* Model and folder; steps and pictures; engine, memory and seed. `step`: the last one done. */
void run_header(const Run *run, int64_t step, char lines[RUN_HEADER_LINES][RUN_HEADER_BYTES]);

#endif
