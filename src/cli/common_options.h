/* common_options.h - rows of a verb's option table that other verbs have too: one wording, one range. `place` is the
 * option's target. */
#ifndef EFFNET_CLI_COMMON_OPTIONS_H
#define EFFNET_CLI_COMMON_OPTIONS_H

#include "options.h"

/* `otherwise`: what the default 0 means, a text. */
#define OPTION_ROW_THREADS(place, otherwise)                                                                           \
    {                                                                                                                  \
        .name = "threads", .argument = "N", .target = (place), .kind = OPTION_INTEGER, .most = 1024,                   \
        .help = "engine threads; 0, the default: " otherwise                                                           \
    }
#define ONE_EACH_PROCESSOR "one for each processor"

/* `what`: "threads that ..." */
#define OPTION_ROW_WORKERS(place, what)                                                                                \
    {                                                                                                                  \
        .name = "workers", .argument = "N", .target = (place), .kind = OPTION_INTEGER, .most = 256,                    \
        .help = what "; 0, the default: " ONE_EACH_PROCESSOR                                                           \
    }

/* `what`: what it counts, and what it changes. */
#define OPTION_ROW_BATCH(place, what)                                                                                  \
    {                                                                                                                  \
        .name = "batch", .argument = "N", .target = (place), .kind = OPTION_INTEGER, .least = 1, .most = 65536,        \
        .help = what                                                                                                   \
    }

/* The size of a network's input, an OptionSize; 0: as where it is not given. Nothing can be told apart in fewer pixels. */
#define LEAST_SIDE 8
#define OPTION_ROW_RESOLUTION(place, what)                                                                             \
    {                                                                                                                  \
        .name = "res", .argument = "R|HxW", .target = (place), .kind = OPTION_SIZE, .least = LEAST_SIDE, .most = 2048, \
        .or_zero = true, .help = what                                                                                  \
    }

/* `what`: "write ...", the files of it. */
#define OPTION_ROW_REPORT(place, what)                                                                                 \
    { .name = "report", .argument = "FOLDER", .target = (place), .kind = OPTION_TEXT, .help = what }

#define OPTION_ROW_ENGINE(place)                                                                                       \
    {                                                                                                                  \
        .name = "engine", .argument = "NAME", .target = (place), .kind = OPTION_TEXT,                                  \
        .help = "who computes: fast, the default; cpu; reference: plain loops, slow, the specification"                \
    }

#define OPTION_ROW_DEVICE(place)                                                                                       \
    {                                                                                                                  \
        .name = "device", .argument = "NAME", .target = (place), .kind = OPTION_TEXT,                                  \
        .help = "cpu, the default; xla: an accelerator by the plugin that is found; xla:cuda, xla:tpu, xla:cpu, "      \
                "xla:/path/to/plugin.so"                                                                               \
    }

/* `what`: "with an equal part of ...". */
#define OPTION_ROW_DIST(place, what)                                                                                   \
    {                                                                                                                  \
        .name = "dist", .argument = "none|mpi", .target = (place), .kind = OPTION_CHOICE, .choices = "none|mpi",       \
        .help = "mpi: one of several workers that mpirun or srun started, " what                                       \
    }

#define OPTION_ROW_DIST_TIMEOUT(place)                                                                                 \
    {                                                                                                                  \
        .name = "dist-timeout", .argument = "SECONDS", .target = (place), .kind = OPTION_INTEGER, .least = 1,          \
        .most = 1000000, .help = "longest wait for another worker, which is then taken for dead; default 300"          \
    }

#define OPTION_ROW_DTYPE(place)                                                                                        \
    {                                                                                                                  \
        .name = "dtype", .argument = "fp32|bf16|int8", .target = (place), .kind = OPTION_CHOICE,                       \
        .choices = "fp32|bf16|int8",                                                                                   \
        .help = "bf16: activations in bfloat16, half the memory, faster where the processor has its dot products; "    \
                "int8: the same with 1x1 convolutions in bytes"                                                        \
    }

#define OPTION_ROW_TTA(place)                                                                                          \
    {                                                                                                                  \
        .name = "tta", .target = (place), .kind = OPTION_FLAG,                                                         \
        .help = "test-time augmentation: each picture and the same from right to left, the mean of both's "            \
                "probabilities; takes twice as long"                                                                   \
    }

#define OPTION_ROW_WEIGHTS(place)                                                                                      \
    {                                                                                                                  \
        .name = "weights", .argument = "ema|raw", .target = (place), .kind = OPTION_CHOICE, .choices = "ema|raw",      \
        .help = "averaged, the default, or as the last step left them"                                                 \
    }

#define OPTION_ROW_SET(place, what)                                                                                    \
    { .name = "set", .argument = "KEY=VALUE", .target = (place), .kind = OPTION_LIST, .help = what }

#define OPTION_ROW_OFFLINE(place)                                                                                      \
    {                                                                                                                  \
        .name = "offline", .target = (place), .kind = OPTION_FLAG,                                                     \
        .help = "fetch nothing: of a hub's names those in the cache alone (as HF_HUB_OFFLINE=1)"                       \
    }

#define OPTION_ROW_JSON(place, what)                                                                                   \
    { .name = "json", .target = (place), .kind = OPTION_FLAG, .help = what " on standard output" }

#endif
