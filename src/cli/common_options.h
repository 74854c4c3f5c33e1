/* common_options.h - rows of a verb's option table that other verbs have too: one wording, one range. `place` is the
 * option's target. */
#ifndef EFFNET_CLI_COMMON_OPTIONS_H
#define EFFNET_CLI_COMMON_OPTIONS_H

#include "options.h"

/* `otherwise`: what the default 0 means, a text. */
#define OPTION_ROW_THREADS(place, otherwise)                                                                           \
    OPTION_ROW_INTEGER("threads", "N", place, 0, 1024, "engine threads; 0, the default: " otherwise)
#define ONE_EACH_PROCESSOR "one for each processor"

/* `what`: "threads that ..." */
#define OPTION_ROW_WORKERS(place, what)                                                                                \
    OPTION_ROW_INTEGER("workers", "N", place, 0, 256, what "; 0, the default: " ONE_EACH_PROCESSOR)

/* `what`: what it counts, and what it changes. */
#define OPTION_ROW_BATCH(place, what) OPTION_ROW_INTEGER("batch", "N", place, 1, 65536, what)

/* The size of a network's input, an OptionSize; 0: as where it is not given. Nothing can be told apart in fewer pixels. */
#define LEAST_SIDE 8
#define OPTION_ROW_RESOLUTION(place, what)                                                                             \
    {                                                                                                                  \
        .name = "res", .argument = "R|HxW", .target = (place), .kind = OPTION_SIZE, .least = LEAST_SIDE, .most = 2048, \
        .or_zero = true, .help = (what)                                                                                \
    }

/* `what`: "write ...", the files of it. */
#define OPTION_ROW_REPORT(place, what) OPTION_ROW_TEXT("report", "FOLDER", place, what)

#define OPTION_ROW_ENGINE(place)                                                                                       \
    OPTION_ROW_TEXT("engine", "NAME", place,                                                                           \
                    "who computes: fast, the default; cpu; reference: plain loops, slow, the specification")

#define OPTION_ROW_DEVICE(place)                                                                                       \
    OPTION_ROW_TEXT("device", "NAME", place,                                                                           \
                    "cpu, the default; xla: an accelerator by the plugin that is found; xla:cuda, xla:tpu, xla:cpu, "  \
                    "xla:/path/to/plugin.so")

/* `what`: "with an equal part of ...". */
#define OPTION_ROW_DIST(place, what)                                                                                   \
    OPTION_ROW_CHOICE("dist", "none|mpi", place, "mpi: one of several workers that mpirun or srun started, " what)

#define OPTION_ROW_DIST_TIMEOUT(place)                                                                                 \
    OPTION_ROW_INTEGER("dist-timeout", "SECONDS", place, 1, 1000000,                                                   \
                       "longest wait for another worker, which is then taken for dead; default 300")

#define OPTION_ROW_DTYPE(place)                                                                                        \
    OPTION_ROW_CHOICE("dtype", "fp32|bf16|int8", place,                                                                \
                      "bf16: activations in bfloat16, half the memory, faster where the processor has its dot "        \
                      "products; int8: the same with 1x1 convolutions in bytes")

#define OPTION_ROW_TTA(place)                                                                                          \
    OPTION_ROW_FLAG("tta", place,                                                                                      \
                    "test-time augmentation: each picture and the same from right to left, the mean of both's "        \
                    "probabilities; takes twice as long")

#define OPTION_ROW_WEIGHTS(place)                                                                                      \
    OPTION_ROW_CHOICE("weights", "ema|raw", place, "averaged, the default, or as the last step left them")

#define OPTION_ROW_SET(place, what) OPTION_ROW_LIST("set", "KEY=VALUE", place, what)

#define OPTION_ROW_OFFLINE(place)                                                                                      \
    OPTION_ROW_FLAG("offline", place, "fetch nothing: of a hub's names those in the cache alone (as HF_HUB_OFFLINE=1)")

#define OPTION_ROW_JSON(place, what) OPTION_ROW_FLAG("json", place, what " on standard output")

#endif
