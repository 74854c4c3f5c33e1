/* run_memory.h - the memory that a run's steps and evaluations will take, known before they begin: the engine's arenas
 * are mapped and not yet written, so that what is too much would end the run at its first step, by a kill and without a
 * word. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_MEMORY_H
#define EFFNET_TRAIN_RUN_MEMORY_H

#include "base/machine.h"
#include "train/run.h"

/* Bytes still to be taken. */
typedef struct RunMemory {
    int64_t activations; /* the executor's, of this machine; 0 of a device */
    int64_t state;       /* gradients and the optimizer's slots */
    int64_t pictures;    /* batches that the loaders make ahead */
} RunMemory;

/* Once the trainer is made. */
void run_memory_expect(const Run *run, int evaluation_batch, RunMemory *out);
/* EFFNET_ERROR_MEMORY where it is more than is free, with the keys that change it; `anyway`: a note instead. */
effnet_status run_memory_check(const RunMemory *memory, const Machine *machine, const Recipe *recipe, bool anyway,
                               RunNotes *notes, effnet_error *err);
/* A note where a step is likely to be too large for a device. */
void run_memory_note_device(const ExecutorInfo *info, RunNotes *notes);

#endif
