/* effnet.h - the public interface of libeffnet: EfficientNet trained, evaluated and run, in C.
 *
 * In the order of need: errors, a model that predicts, a model that learns, whole training runs, tools.
 * Conventions:
 *  - No global state, nothing printed, no exit: every call that can fail returns an effnet_status and, where
 *    `error` is not NULL, leaves there one sentence that names the file, line or key, what was wrong and what
 *    to do.
 *  - Objects are opaque, made by ..._create/..._open and destroyed by ..._free; free(NULL) is harmless.
 *    Two objects may be used by two threads at once; one object by one thread at a time, but for a model, which several
 *    may run at once.
 *  - Structures begin with struct_size, so that a program and a library of different versions agree on how much of one
 *    both know. Options: write `effnet_model_options o = {.struct_size = sizeof o};` and set what differs; zero means
 *    "the default", and so does NULL for the whole structure. Results: the same, `effnet_summary s = {.struct_size =
 *    sizeof s};`, and the call fills as much as that. What the library hands to a function of yours says its own size.
 *    effnet_error and effnet_prediction have none: they stay as they are.
 *  - NULL where a pointer is needed is EFFNET_ERROR_ARGUMENT; a question asked of a NULL object has the answer "" or 0.
 *
 * Environment variables that the library reads, each only where an option does not say otherwise:
 *    EFFNET_ISA               scalar|avx2|avxvnni|avx512|avx512bf16|amx, on ARM neon|neonbf16: the instructions that the processor's kernels may use
 *    EFFNET_PIN               1 pins threads to processors on a busy machine too, 0 never (effnet_team_options.pin)
 *    OMP_PROC_BIND            false: as EFFNET_PIN=0
 *    EFFNET_MPI_MODULE        the module for workers over MPI, where it does not stand beside program or library
 *    PJRT_PLUGIN_LIBRARY_PATH the plugin that device `xla` means
 *    EFFNET_PLUGINS           a folder to look for plugins in first; then VIRTUAL_ENV, those of python3 in PATH, HOME
 *    EFFNET_CACHE             a folder for what XLA compiled; else XDG_CACHE_HOME or HOME/.cache
 *    EFFNET_XLA_SHIFTS        how depthwise convolutions are written for XLA (docs/accelerators.md)
 *    EFFNET_XLA_KERNELS       0: by cuDNN's kernels on NVIDIA GPUs, not by this library's
 *  - Pictures are (height, width, 3) bytes, RGB; batches are (N, H, W, 3), channels last.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EFFNET_H
#define EFFNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EFFNET_API __attribute__((visibility("default")))

/* ---- errors ------------------------------------------------------------------------------------------- */

typedef enum effnet_status {
    EFFNET_OK = 0,
    EFFNET_ERROR_ARGUMENT,    /* a value the caller gave is out of range or contradicts another */
    EFFNET_ERROR_IO,          /* a file cannot be read or written */
    EFFNET_ERROR_FORMAT,      /* a file was read, and is not what it should be */
    EFFNET_ERROR_MEMORY,      /* not enough memory */
    EFFNET_ERROR_UNSUPPORTED, /* known, and not built here */
    EFFNET_ERROR_NUMERIC,     /* a loss or gradient that is not finite */
    EFFNET_INTERRUPTED        /* the caller asked to stop; a checkpoint was written */
} effnet_status;

typedef struct effnet_error {
    effnet_status status;
    char message[500];
} effnet_error;

/* "EFFNET_ERROR_IO"; "unknown status" of a number that is none. */
EFFNET_API const char *effnet_status_name(effnet_status status);

/* Of this header. Until 1.0 each minor version may change the interface; the shared library's name has both numbers. */
#define EFFNET_VERSION_MAJOR 0
#define EFFNET_VERSION_MINOR 1
#define EFFNET_VERSION_PATCH 0
/* For #if: EFFNET_VERSION_NUMBER >= EFFNET_VERSION_OF(0, 1, 0) */
#define EFFNET_VERSION_OF(major, minor, patch) ((major)*10000 + (minor)*100 + (patch))
#define EFFNET_VERSION_NUMBER                  EFFNET_VERSION_OF(EFFNET_VERSION_MAJOR, EFFNET_VERSION_MINOR, EFFNET_VERSION_PATCH)
#define EFFNET_TEXT_OF(number)                 #number
#define EFFNET_TEXT(number)                    EFFNET_TEXT_OF(number)
#define EFFNET_VERSION                                                                                                 \
    EFFNET_TEXT(EFFNET_VERSION_MAJOR) "." EFFNET_TEXT(EFFNET_VERSION_MINOR) "." EFFNET_TEXT(EFFNET_VERSION_PATCH)
/* Of the library that runs: "0.1.0". */
EFFNET_API const char *effnet_version(void);
/* One line: version, compiler, instruction sets found and used, processors and memory (a container's limits), e.g.
 * "effnet 0.1.0, gcc 12.2.0, ISA found: scalar avx2 avx512 avx512_bf16, used: avx512bf16,
 * processors: 2 of 64 (cgroup quota 1.5), memory: 8 GiB (cgroup limit 8 GiB, 7.1 GiB free)".
 * EFFNET_ISA=scalar|avx2|avxvnni|avx512|avx512bf16|amx, on ARM scalar|neon|neonbf16, in the environment forces a set. `buffer` receives at most `size` bytes,
 * terminated. */
EFFNET_API void effnet_build_info(char *buffer, size_t size);

/* ---- threads ------------------------------------------------------------------------------------------ */

/* Threads that models and trainers compute with. Each makes its own where it is given none; one that is shared must
 * outlive those that use it, and they take turns, a pass of the network each: two models that are used at once do not
 * ask for twice the processors. */
typedef struct effnet_team effnet_team;

typedef enum effnet_pinning {
    EFFNET_PIN_AUTO, /* as the environment variable EFFNET_PIN says; else where the team has as many threads as this
                        process has processors and the machine is not busy */
    EFFNET_PIN_ALWAYS,
    EFFNET_PIN_NEVER
} effnet_pinning;

typedef struct effnet_team_options {
    size_t struct_size;
    int threads;           /* the caller's among them; 0: one for each processor */
    effnet_pinning pin;    /* each thread of the team but the caller's own to a processor */
    const int *processors; /* (threads) which: thread i to processors[i], thread 0 being the caller's, which is left
                              alone; NULL: any. Needs `threads`. */
} effnet_team_options;

EFFNET_API effnet_status effnet_team_create(const effnet_team_options *options, effnet_team **out, effnet_error *error);
EFFNET_API int effnet_team_threads(const effnet_team *team);
EFFNET_API void effnet_team_free(effnet_team *team);

/* ---- a model that predicts ---------------------------------------------------------------------------- */

/* Weights, labels and how pictures are prepared. Any number of threads may run one model at once: each call takes an
 * inference state of its own (activations and packed weights, made at its first use, kept for the next call). With
 * `threads` 1 each calling thread computes by itself, which suits a server; with more, or with a team, callers take
 * turns on its threads. effnet_weights_write waits for the calls that run. */
typedef struct effnet_model effnet_model;

typedef struct effnet_model_options {
    size_t struct_size;
    int num_classes;    /* 0: 1,000, or what the checkpoint has */
    int resolution;     /* height of the input; 0: the model's own, or what the checkpoint was trained at */
    int threads;        /* 0: one for each processor */
    uint64_t seed;      /* of the initial weights */
    bool raw_weights;   /* effnet_model_open of a checkpoint folder: the raw weights, not the averaged (EMA)
                           ones */
    const char *engine; /* NULL: the fastest; "cpu"; "reference": plain loops, slow, exact */
    /* NULL or "fp32"; "bf16": activations in bfloat16, half the memory, and faster where the processor has its dot
     * products, logits differ by a few thousandths of their size; "int8": the same with 1x1 convolutions in bytes,
     * weights rounded to 8 bits a channel and pixels as they come. */
    const char *dtype;
    effnet_team *team; /* NULL: `threads` of its own */
    /* Who computes: NULL or "cpu", the engine; "xla", "xla:cuda", "xla:tpu", "xla:/path/to/plugin.so": an accelerator
     * (docs/accelerators.md), fp32 or bf16, logits and what is made of them, but no features. Calls of several threads
     * take turns there; the first of a larger batch compiles, for seconds to a minute. */
    const char *device;
    /* effnet_model_create: channels of every layer and blocks of every stage, as multiples of B0's, above 0 to 16; 0:
     * the model's own. */
    double width_coefficient, depth_coefficient;
    /* Files of larger pictures are refused by their headers, before memory is taken: where strangers send them; 0: 200
     * million. */
    int64_t most_pixels;
    int resolution_width; /* width of the input; 0: `resolution`, a square */
    int in_chans;         /* effnet_model_create: channels of a picture, 1 to 16; 0: 3 */
} effnet_model_options;

/* A new model by name ("efficientnet_b0" ... "efficientnet_b8", "efficientnet_l2", "efficientnet_lite0" ...
 * "efficientnet_lite4") with freshly drawn weights. *out is the caller's to free. */
EFFNET_API effnet_status effnet_model_create(const char *name, const effnet_model_options *options, effnet_model **out,
                                             effnet_error *error);
/* A trained model: a checkpoint folder that `effnet train` wrote, or a .safetensors file of one. */
EFFNET_API effnet_status effnet_model_open(const char *path, const effnet_model_options *options, effnet_model **out,
                                           effnet_error *error);
EFFNET_API void effnet_model_free(effnet_model *model);

/* "efficientnet_b0"; owned by the model. */
EFFNET_API const char *effnet_model_name(const effnet_model *model);
EFFNET_API int effnet_model_classes(const effnet_model *model);
/* Height of the input; effnet_model_input has all of it: height, width, channels. */
EFFNET_API int effnet_model_resolution(const effnet_model *model);
EFFNET_API void effnet_model_input(const effnet_model *model, int shape[3]);
/* The safetensors file that the weights were read from, "" where they were read from none; owned by the model. */
EFFNET_API const char *effnet_model_file(const effnet_model *model);
/* Which of a checkpoint's weights they are: "ema", averaged, or "raw"; "" of a file that is no part of a checkpoint. */
EFFNET_API const char *effnet_model_weights(const effnet_model *model);
/* Optimizer steps behind the weights; 0 where the file does not say. */
EFFNET_API int64_t effnet_model_step(const effnet_model *model);
/* Where the weights come from, in sentences, one a line without a newline at the end: the recipe of a training; of an
 * import, whose names and which settings were found and which are only assumed. Kept in every file that is saved; ""
 * where the file does not say. Owned by the model. */
EFFNET_API const char *effnet_model_notes(const effnet_model *model);
/* The label of a class, "17" where the checkpoint names none; owned by the model. */
EFFNET_API const char *effnet_model_label(const effnet_model *model, int class_index);

/* How a picture becomes the network's input: input = (pixel / 255 - mean) / std of its part of height x width. */
typedef struct effnet_preprocessing {
    size_t struct_size;
    int height, width;
    double mean[3], std[3]; /* RGB; of other channels see channel_mean */
    double crop_pct;        /* docs/recipe.md says what this and the following, its keys, mean */
    char val_crop[24];      /* "center", "none", "resize_shorter" */
    char interpolation[24]; /* "bilinear", "bicubic" */
    char resize[24];        /* whose: "pillow", "tensorflow", "tensorflow1", "torch" */
    char overshoot[24];     /* "clip", "keep" */
    int pad_to;             /* smaller pictures are padded to this side; 0: never */
    bool exif_orientation;  /* pictures are turned upright first */
    /* 3: red, green and blue; 1: files give their luma; others: the samples of a PNG or TIFF as they are stored. Each has
     * its mean and standard deviation. */
    int channels;
    double channel_mean[16], channel_std[16];
} effnet_preprocessing;
EFFNET_API effnet_status effnet_model_preprocessing(const effnet_model *model, effnet_preprocessing *out,
                                                    effnet_error *error);

/* A picture, given in one of three ways; {.path = "shoe.jpg"}. This structure stays as it is. */
typedef struct effnet_picture {
    const char *path;      /* a JPEG, PNG, WebP, BMP, GIF or TIFF file; or */
    const void *bytes;     /* the contents of such a file, ... */
    size_t size;           /* ... so many bytes; or */
    const uint8_t *pixels; /* height x width pixels of the model's channels (RGB), a byte each, ... */
    int height, width;
    size_t stride; /* ... their rows so many bytes apart; 0: channels * width */
} effnet_picture;

typedef struct effnet_prediction {
    int index;         /* of the class; -1 where the picture could not be used */
    float probability; /* softmax; of a model of several labels a picture, the class's own, between 0 and 1 */
    const char *label; /* owned by the model */
} effnet_prediction;

/* What effnet_run is to write, each where it is not NULL. */
typedef struct effnet_outputs {
    size_t struct_size;
    effnet_prediction *predictions; /* (count, top), likeliest first, among equals the lower index */
    int top;                        /* 1 to the model's classes */
    float *probabilities;           /* (count, classes): softmax of the logits, or as above */
    float *logits;                  /* (count, classes) */
    float *features;                /* (count, H, W, C) as effnet_model_feature says */
    const char *feature;            /* which: "gap", the pooled features that the classifier sees, or "reduction_1" to
                                       "reduction_5", the last block's output at 1/2 to 1/32 of the input's sides */
    effnet_error *errors;           /* (count) EFFNET_OK, or why that picture could not be used: its outputs are zero */
    bool mirrored; /* every picture is seen a second time, from right to left: probabilities are the mean of
                                       both, predictions go by it, and logits are those that give it. Not with features */
} effnet_outputs;

/* Height, width and channels of a feature; "gap" is 1 x 1. */
EFFNET_API effnet_status effnet_model_feature(const effnet_model *model, const char *feature, int shape[3],
                                              effnet_error *error);

/* Pictures through the network: resized and cropped as the model was evaluated in training, read and prepared by all of
 * its threads, 32 at a time. A picture that cannot be used ends the call with its error where outputs->errors is NULL.
 * A picture's outputs are the same bits whatever is run beside it. */
EFFNET_API effnet_status effnet_run(effnet_model *model, const effnet_picture *pictures, int count,
                                    const effnet_outputs *outputs, effnet_error *error);
/* A picture as the network sees it: `out` (height, width, channels) of effnet_model_preprocessing, for effnet_logits. */
EFFNET_API effnet_status effnet_prepare(const effnet_model *model, const effnet_picture *picture, float *out,
                                        effnet_error *error);
/* One picture's `count` likeliest classes: effnet_run in short. */
EFFNET_API effnet_status effnet_predict(effnet_model *model, const effnet_picture *picture, effnet_prediction *out,
                                        int count, effnet_error *error);
EFFNET_API effnet_status effnet_predict_file(effnet_model *model, const char *path, effnet_prediction *out, int count,
                                             effnet_error *error);
/* Where in a picture a class is seen; class_index -1: the likeliest. `map` (height, width of effnet_model_feature's
 * "reduction_5") is its class activation map, M_c(y, x) = sum over k of w_ck f_k(y, x) with f the last convolution's output
 * and w the classifier's weights: how much each part of the network's input says for the class, or, negative, against it. The
 * mean of the map and the class's bias are its logit, exactly, so that nothing is left unexplained (Zhou et al., arXiv
 * 1512.04150; for such a network Grad-CAM, arXiv 1610.02391, is the same map times a constant). *of (may be NULL) becomes the
 * class that was explained. */
EFFNET_API effnet_status effnet_explain(effnet_model *model, const effnet_picture *picture, int class_index, float *map,
                                        effnet_prediction *of, effnet_error *error);
/* effnet_explain drawn over the picture, as a PNG (or .jpg), at most 1,024 pixels a side: yellow to red where the map is
 * above 0, red where it is largest; what the network does not see of the picture is dark. */
EFFNET_API effnet_status effnet_explain_save(effnet_model *model, const effnet_picture *picture, int class_index,
                                             const char *path, effnet_prediction *of, effnet_error *error);
/* Logits (N, classes) of a batch (N, height, width, channels: effnet_model_input) of normalised float pixels. */
EFFNET_API effnet_status effnet_logits(effnet_model *model, const float *images, int batch, float *logits,
                                       effnet_error *error);

/* Weights by timm's names ("blocks.1.0.conv_pw.weight", "bn1.running_mean") in timm's layouts. `count` must
 * be the number of elements of the tensor. */
EFFNET_API effnet_status effnet_weights_read(const effnet_model *model, const char *name, float *values, size_t count,
                                             effnet_error *error);
EFFNET_API effnet_status effnet_weights_write(effnet_model *model, const char *name, const float *values, size_t count,
                                              effnet_error *error);
/* The whole model as one safetensors file in timm's names, written beside and renamed into place. */
EFFNET_API effnet_status effnet_model_save(const effnet_model *model, const char *path, effnet_error *error);

/* ---- texts ---------------------------------------------------------------------------------------------- */

/* `size` bytes of a text as the library reads every text (recipes, lists, tables, class names): UTF-8 without a mark,
 * whether they are UTF-8 or UTF-16, a line ended by '\n' whichever system wrote it. *text ends with a zero byte and is
 * freed by free(). Zero bytes, half a character, and another kind of file (an archive, an HTML page) are
 * EFFNET_ERROR_FORMAT, with `name` in the message. */
EFFNET_API effnet_status effnet_text_of_bytes(const char *name, const void *bytes, size_t size, char **text,
                                              effnet_error *err);

/* What follows is in libeffnet alone; libeffnet-inference, for devices, ends here. */
#ifndef EFFNET_INFERENCE_ONLY

/* ---- weights of other programs ------------------------------------------------------------------------- */

typedef struct effnet_import_options {
    size_t struct_size;
    const char *model;           /* ours or the other program's name of it, with a tag or not: "efficientnet_b0",
                                    "tf_efficientnet_b0.ns_jft_in1k"; NULL: what config.json beside the file, the file
                                    or its name say, or, but for timm's names, the one whose shapes the file has */
    const char *class_names;     /* a text file with one name a line, in the order of the classes; NULL: those that
                                    config.json or effnet's own file say, or ImageNet's of 1,000 classes */
    const char *const *settings; /* "KEY=VALUE" of the recipe's keys on model and pictures ("padding=symmetric",
                                    "mean=0.5,0.5,0.5"), ended by NULL; they go before what the naming implies */
    int threads;                 /* of the model: 0: one for each processor */
    effnet_team *team;           /* NULL: `threads` of its own */
} effnet_import_options;

/* A model from a safetensors file in the names of timm, torchvision, efficientnet_pytorch, jax_examples' Flax model,
 * Keras or TensorFlow, told apart by themselves; docs/weights.md has the details. *naming (may be NULL) becomes the
 * program's name, which is static. */
EFFNET_API effnet_status effnet_model_import(const char *path, const effnet_import_options *options, effnet_model **out,
                                             const char **naming, effnet_error *error);

/* ---- averaging ------------------------------------------------------------------------------------------ */

typedef struct effnet_progress effnet_progress;
/* Called about every half second; return true to stop: the step is finished and a checkpoint written. */
typedef bool effnet_progress_function(void *context, const effnet_progress *progress);

typedef struct effnet_average_options {
    size_t struct_size;
    bool raw_weights; /* of runs and checkpoints: the raw weights, not the averaged (EMA) ones */
    /* Pictures (any source that can be trained on) whose training split, each picture as in evaluation, the batch norms'
     * running means and variances are estimated on anew; NULL: these are averaged like the weights. */
    const char *data;
    int64_t pictures; /* that many, drawn at random, are enough; 0: 10,000 */
    int batch;        /* pictures whose statistics are taken together; 0: 32 */
    int workers;      /* threads that read and decode; 0: one for each processor */
    int threads;      /* of the model; 0: one for each processor */
    effnet_team *team;
    effnet_progress_function *progress; /* phases "data" and "statistics", with pictures done; may be NULL */
    void *progress_context;
} effnet_average_options;

/* The mean of the weights of `count` files, checkpoints or runs, as a model: of one run's last checkpoints (Izmailov et al.,
 * arXiv 1803.05407: stochastic weight averaging) or of several fine-tunings of the same weights (Wortsman et al., arXiv
 * 2203.05482: model soups). A file that is named twice counts once. Models that differ in network, classes or pictures are
 * EFFNET_ERROR_ARGUMENT, which says in what. What was done stands in effnet_model_notes. One path alone needs `data`: its
 * weights stay, its statistics are estimated. */
EFFNET_API effnet_status effnet_average(const char *const *paths, int count, const effnet_average_options *options,
                                        effnet_model **out, effnet_error *error);

/* ---- models for other programs -------------------------------------------------------------------------- */

typedef struct effnet_onnx_options {
    size_t struct_size;
    bool keep_batch_norm; /* BatchNormalization nodes; else folded into the convolutions before them */
    int opset;            /* ONNX's operator set, 13 to 21; 0: 17 */
    bool preprocessing;   /* pictures go in as they are, see below */
    bool int8; /* the wider 1x1 convolutions multiply bytes, as dtype "int8" does: a file half as large; what it
                             costs effnet_dtype_errors and effnet_evaluate tell. Not with keep_batch_norm. Of a model
                             that effnet_calibrate was called for every layer is in bytes: QuantizeLinear and
                             DequantizeLinear, which ONNX Runtime and OpenVINO run in bytes throughout */
} effnet_onnx_options;

/* The model as an ONNX file: input "input" (N, channels, height, width), normalised by the model's mean and std, any N;
 * output "logits" (N, classes). With `preprocessing`: input "image" (N, H, W, 3), bytes RGB of any size, cropped, resized
 * and normalised inside as the model was evaluated in training; outputs "probabilities" and "logits", (N, classes). Its
 * metadata say mean, std, crop and class names (docs/weights.md), and hold a golden picture with its logits. */
EFFNET_API effnet_status effnet_model_save_onnx(const effnet_model *model, const char *path,
                                                const effnet_onnx_options *options, effnet_error *error);

/* The model as C: path, which ends with .c, and the same with .h. They need a C99 compiler and expf and nothing else, take
 * pictures of any size, and test themselves on a golden picture; the functions begin with the file's name
 * ("mine.c": mine_predict). Memory is static. */
EFFNET_API effnet_status effnet_model_save_c(const effnet_model *model, const char *path, effnet_error *error);

typedef struct effnet_gguf_options {
    size_t struct_size;
    bool
        half; /* convolutions and classifier in float16, half the file; biases, batch norm and statistics stay float32 */
} effnet_gguf_options;

/* The model as a GGUF file, version 3, for ggml and what reads its files: tensors under timm's names, little-endian, batch
 * norm as it is; keys as in docs/formats.md: `general.architecture` "efficientnet", preprocessing, class names, a golden
 * picture with its logits. */
EFFNET_API effnet_status effnet_model_save_gguf(const effnet_model *model, const char *path,
                                                const effnet_gguf_options *options, effnet_error *error);

typedef struct effnet_verification {
    size_t struct_size;
    char model[64];
    int num_classes;
    bool has_checksum; /* the file has one; it is right */
    bool has_golden;   /* the file holds a golden picture and its logits: */
    double worst;      /* its logits here and there: the largest distance, ... */
    double largest;    /* ... and the largest logit's size */
} effnet_verification;

/* Whether an exported file (OUT.onnx, .gguf or .safetensors) holds what was exported: its checksum is right, every weight of the
 * model is there, and they give the golden picture's logits within 1e-4 of the largest; otherwise EFFNET_ERROR_FORMAT. */
EFFNET_API effnet_status effnet_verify(const char *path, effnet_verification *out, effnet_error *error);

typedef struct effnet_stablehlo_options {
    size_t struct_size;
    int batch;  /* pictures of inference; 0: 1 */
    bool bytes; /* pictures come as bytes and are normalised by the program */
    /* For an NVIDIA GPU alone: depthwise convolutions are kernels of this library in the program, as train and eval run
     * them there, several times faster than XLA's own. NVIDIA's libnvrtc must be installed. */
    bool cuda_kernels;
} effnet_stablehlo_options;

/* The model's inference as the text of a StableHLO module, for JAX, IREE and others: (parameters, statistics, pictures
 * (batch, height, width, channels)) -> logits; in bf16 where the model's dtype is. Comments above it say where each
 * tensor lies in the vectors of parameters and statistics. The weights themselves are not in it. */
EFFNET_API effnet_status effnet_model_save_stablehlo(const effnet_model *model, const char *path,
                                                     const effnet_stablehlo_options *options, effnet_error *error);

/* ---- recipes ------------------------------------------------------------------------------------------ */

typedef struct effnet_recipe effnet_recipe;

/* Read a YAML recipe; path NULL gives the defaults (EfficientNet-B0 as published). */
EFFNET_API effnet_status effnet_recipe_open(const char *path, effnet_recipe **out, effnet_error *error);
EFFNET_API void effnet_recipe_free(effnet_recipe *recipe);
/* A recipe of its own with the same values. */
EFFNET_API effnet_status effnet_recipe_copy(const effnet_recipe *recipe, effnet_recipe **out, effnet_error *error);
/* Set one key from text, as `--set KEY=VALUE` does. */
EFFNET_API effnet_status effnet_recipe_set(effnet_recipe *recipe, const char *key, const char *value,
                                           effnet_error *error);
/* A key's value as the text that effnet_recipe_set takes back to the same value: "0.016", "rmsprop", "[0.08, 1]".
 * EFFNET_ERROR_ARGUMENT where `size` bytes, the zero at the end among them, are too few; 1,000 always suffice. */
EFFNET_API effnet_status effnet_recipe_get(const effnet_recipe *recipe, const char *key, char *buffer, size_t size,
                                           effnet_error *error);
/* Every key with its value, as a file that effnet_recipe_open reads back to the same recipe; written beside and renamed
 * into place. */
EFFNET_API effnet_status effnet_recipe_save(const effnet_recipe *recipe, const char *path, effnet_error *error);
/* The recipe's whole training step as the text of a StableHLO module, as a run on an accelerator compiles it: state and
 * batch in, the next state, loss and gradient norm out; comments above it say which, in order. */
EFFNET_API effnet_status effnet_recipe_save_stablehlo(const effnet_recipe *recipe, const char *path,
                                                      const effnet_stablehlo_options *options, effnet_error *error);
/* Every key with its section, type, range, default and help, for --help and the documentation: calls `visit` once a
 * key, sections together. */
typedef void effnet_key_visitor(void *context, const char *section, const char *key, const char *type,
                                const char *default_value, const char *allowed, const char *help);
EFFNET_API void effnet_recipe_keys(effnet_key_visitor *visit, void *context);

/* ---- a model that learns, step by step ----------------------------------------------------------------- */

typedef struct effnet_trainer effnet_trainer;

typedef struct effnet_trainer_options {
    size_t struct_size;
    int num_classes;     /* 0: the recipe's */
    int steps_per_epoch; /* turns the recipe's epochs into steps; at least 1 */
    int threads;         /* 0: the recipe's, or one for each processor */
    effnet_team *team;   /* NULL: `threads` of its own */
} effnet_trainer_options;

/* A trainer of batches that the caller supplies, with the recipe's model, optimizer, schedule and regularisation. The
 * recipe is copied. */
EFFNET_API effnet_status effnet_trainer_create(const effnet_recipe *recipe, const effnet_trainer_options *options,
                                               effnet_trainer **out, effnet_error *error);
EFFNET_API void effnet_trainer_free(effnet_trainer *trainer);
/* One step on images (N, height, width, channels), normalised floats, and labels (N); N is at most the
 * recipe's batch_size. Writes the mean loss and the learning rate used. */
EFFNET_API effnet_status effnet_trainer_step(effnet_trainer *trainer, const float *images, const int32_t *labels,
                                             int batch, double *loss, double *lr, effnet_error *error);
/* A copy of the trained weights (averaged where `ema`) as a model. */
EFFNET_API effnet_status effnet_trainer_model(effnet_trainer *trainer, bool ema, effnet_model **out,
                                              effnet_error *error);

/* ---- whole runs: what the program's verbs call ----------------------------------------------------------
 */

struct effnet_progress {
    size_t struct_size;
    const char *phase;   /* "train", "eval" or "epoch" (an epoch ended and was evaluated); "data": `message` says what
                            was taken for which split, and that is all; "run": `message` says what the run is, before its
                            first step, and how it goes, such as why it ends before its last epoch;
                            "features": step of steps pictures whose features were made (effnet_finetune);
                            "statistics": ... that batch norm statistics were estimated on (effnet_average) */
    int epoch, epochs;   /* epoch counts from 1 */
    int64_t step, steps; /* of the whole run; in "eval": pictures done and pictures in all */
    double loss, lr;     /* loss: mean since the last report */
    double images_per_s;
    double seconds_left;
    double seconds;                        /* since the run began */
    double top1, top5, ema_top1, ema_top5; /* per cent; negative while unknown */
    const char *message;                   /* a warning to show, or NULL */
    int worker; /* of several workers (effnet_train_options.dist) the one that speaks: of all but 0 only `message` is news */
    double average_precision, f1; /* of data with several labels a picture: mean over classes, per cent, of the averages
                                     where they are kept; 0 else */
};

typedef struct effnet_train_options {
    size_t struct_size;
    const char *data;   /* NULL: the recipe's `data` */
    const char *out;    /* run folder; NULL: "runs/<recipe name>" */
    const char *init;   /* a .safetensors to start from; a head of another size is drawn afresh */
    bool resume;        /* go on from the newest checkpoint in `out` */
    int64_t steps;      /* stop after this step; 0: the recipe's epochs */
    int threads;        /* 0: the recipe's, or one for each processor */
    const char *engine; /* as in effnet_model_options; NULL: the recipe's */
    effnet_progress_function *progress;
    void *progress_context;
    bool resume_anyway; /* with resume: also with other class names, pictures or another engine than the checkpoint's */
    bool memory_anyway; /* also where the run needs more memory than is free */
    bool no_report;     /* else a run that reaches its end writes OUT/report: page, JSON, predictions as CSV */
    const char *dist;   /* "mpi": as one of several workers that mpirun started; NULL or "none": alone */
    double dist_timeout; /* seconds that a worker waits for another; 0: 300 */
    bool evaluate_first; /* evaluate before the first step too; those weights may be the best */
    bool end_with_best;  /* result and report are of the best evaluation's checkpoint, not of the last step's */
} effnet_train_options;

typedef struct effnet_train_result {
    size_t struct_size;
    int64_t steps;
    double seconds, top1, top5, ema_top1, ema_top5; /* of the last evaluation, per cent; negative if none */
    char checkpoint[1024];                          /* the last one written */
    char report[1024];   /* the page on the run and its last evaluation; "" where none was written */
    int worker, workers; /* this process among those of the run: worker 0 writes files; 0 of 1 where it is alone */
    bool told_elsewhere; /* a failure that worker 0 has too: it is enough that one of them tells it */
    int64_t images;      /* of that evaluation */
    double top1_low,
        top1_high;     /* 95 % interval (Wilson) of the accuracy that counts: averaged weights where there are any */
    double first_top1; /* before the first step (evaluate_first); negative: not asked for */
    double best_top1;  /* of the run's evaluations; negative if none */
    int64_t best_step;
} effnet_train_result;

/* `result` may be NULL. What the recipe leaves open (classes, resolution, data) is resolved in recipe.yaml of the folder. By
 * seeds or folds there are as many runs, in OUT/seed-1 and so on: result->report is series.json, top1 their mean. */
EFFNET_API effnet_status effnet_train(const effnet_recipe *recipe, const effnet_train_options *options,
                                      effnet_train_result *result, effnet_error *error);

/* ---- fine-tuning ---- */

typedef struct effnet_finetune_options {
    size_t struct_size;
    const char
        *from; /* a run or checkpoint of ours or any file that effnet_model_import takes; NULL: resume what is in out */
    const char *out;             /* run folder; NULL: "runs/" and the last part of the pictures' path */
    const char *const *settings; /* "KEY=VALUE", over what is chosen by the set's size; ends with NULL; may be NULL */
    bool no_report;
    int threads;                        /* 0: one for each processor */
    effnet_progress_function *progress; /* phases "data", "features", "run" and those of effnet_train; may be NULL */
    void *progress_context;
} effnet_finetune_options;

typedef struct effnet_finetune_result {
    size_t struct_size;
    char model[64];
    int num_classes, resolution;
    int64_t training, images; /* pictures trained and evaluated on */
    double head_top1;         /* per cent of the latter that the classifier on the features as they were has right */
    double top1, top1_low, top1_high; /* of the best checkpoint, with its 95 % interval (Wilson) */
    int64_t best_step, steps;         /* best_step 0: fine-tuning did not beat its beginning */
    double seconds;
    char checkpoint[1024]; /* the best, a folder */
    char report[1024];     /* the page on it; "" where none was written */
    int resolution_width;  /* `resolution` is the height */
} effnet_finetune_result;

/* A classifier for `pictures` (any source of docs/data.md; a fifth of a folder without splits is kept to evaluate on) out
 * of trained weights: a classifier for the features as they are, fitted once, and from there all weights together. `result`
 * may be NULL. By the settings seeds or folds there are as many runs, as of effnet_train. */
EFFNET_API effnet_status effnet_finetune(const char *pictures, const effnet_finetune_options *options,
                                         effnet_finetune_result *result, effnet_error *error);

/* What a run will be, told before its first step: found by opening all that it would open and timing a few steps on its
 * own pictures. Nothing is written. */
enum { EFFNET_PLAN_POINTS = 64 };

typedef struct effnet_plan_options {
    size_t struct_size;
    const effnet_train_options *train; /* as effnet_train will get them; NULL: all defaults. `out` is not looked at */
    int64_t pictures; /* where there is no data yet: plan for so many training pictures, steps timed on noise */
} effnet_plan_options;

typedef struct effnet_plan {
    size_t struct_size;
    char model[64];
    int resolution, num_classes;
    int64_t parameters;
    char **class_names; /* (num_classes), or NULL */
    int64_t *counts[2]; /* (num_classes) pictures of training and evaluation, or NULL */
    int num_warnings;
    char **warnings;     /* sentences */
    int64_t pictures[2]; /* of evaluation 0 where not known */
    int64_t batch_size, steps_per_epoch, steps, epochs, evaluations;
    double lr[EFFNET_PLAN_POINTS]; /* learning rate at steps * i / (EFFNET_PLAN_POINTS - 1) */
    int steps_timed;
    double step_seconds, images_per_s, data_wait; /* of a step; data_wait: share of it that pictures were waited for */
    double evaluation_seconds;                    /* of one evaluation, 0 where not known */
    double seconds;                               /* of the whole run */
    int64_t memory_bytes;                         /* largest of this process in the run, as its status will show */
    int64_t cache_bytes;                          /* of that, decoded pictures kept for later epochs */
    int64_t memory_limit, memory_free;            /* of the machine or its control group */
    int64_t checkpoint_bytes, disk_bytes;         /* one; all that stand at once at most, and the log */
    double input_mean[3], input_std[3];           /* of what the network saw, its first channels; NaN: none, or noise */
    int resolution_width;                         /* `resolution` is the height */
} effnet_plan;

/* Freed by effnet_plan_free. The recipe stays as it is. */
EFFNET_API effnet_status effnet_plan_run(const effnet_recipe *recipe, const effnet_plan_options *options,
                                         effnet_plan *out, effnet_error *error);
EFFNET_API void effnet_plan_free(effnet_plan *plan);

typedef struct effnet_evaluate_options {
    size_t struct_size;
    int batch;                          /* pictures that go through the network at once; 0: 64 */
    int workers;                        /* threads that read and decode; 0: one for each processor */
    effnet_progress_function *progress; /* phases "data" and "eval"; may be NULL */
    void *progress_context;
    /* A folder to write report.html (which opens without a network), report.json and predictions.csv into; NULL: none */
    const char *report;
    bool mirrored; /* probabilities are the mean over each picture and the same from right to left (effnet_outputs) */
} effnet_evaluate_options;

typedef struct effnet_evaluation {
    size_t struct_size;
    int64_t images, skipped; /* skipped: pictures that could not be read */
    double top1, top5;       /* per cent */
    double loss;             /* mean cross-entropy, no smoothing */
    double seconds, images_per_s;
    double top1_low, top1_high; /* 95 % interval of top1 (Wilson), per cent */
    double calibration_error;   /* mean difference of confidence and accuracy, per cent */
    /* Of data with several labels a picture: mean over classes, per cent; 0 else. top1 is then how often the best class is
     * one of a picture's, `loss` the mean binary cross-entropy; no interval and no calibration are known. */
    double average_precision, f1;
} effnet_evaluation;

typedef struct effnet_calibrate_options {
    size_t struct_size;
    int pictures;      /* that many, evenly spaced over the training split; 0: 256 */
    double percentile; /* of each tensor's values, the per cent that its range holds at either end, above 50 to 100; 0:
                          99.99 */
} effnet_calibrate_options;

/* The model computes in bytes from here on: weights rounded to 7 bits, an output channel a scale, and every stored tensor to
 * 8 bits of the range that its values have on pictures of `data`, whose labels do not matter. For effnet_model_save_onnx with
 * `int8`, and to see by effnet_evaluate and effnet_dtype_errors what that costs; here it is no faster. For models opened in
 * fp32 of the Lite networks; others are EFFNET_ERROR_UNSUPPORTED. Their weights can no longer be written; files of another
 * kind have the weights as they were. No other call may use the model at the same time. */
EFFNET_API effnet_status effnet_calibrate(effnet_model *model, const char *data,
                                          const effnet_calibrate_options *options, effnet_error *error);

/* Accuracy of `model` on the evaluation split of `data` (any source of docs/data.md: folders,
 * IDX, TFRecord, tar, CIFAR, tables). */
EFFNET_API effnet_status effnet_evaluate(effnet_model *model, const char *data, const effnet_evaluate_options *options,
                                         effnet_evaluation *out, effnet_error *error);

/* How far what a layer gives is from what the same weights give in fp32, as shares of the fp32 values' root mean square. */
typedef struct effnet_layer_error {
    size_t struct_size;
    const char *layer;        /* a block's output, "blocks.1.0"; "gap", what the classifier sees; "logits" */
    double relative, largest; /* of the differences the root mean square, and the largest */
} effnet_layer_error;

typedef struct effnet_dtype_options {
    size_t struct_size;
    int pictures; /* that many, evenly spaced over the evaluation split; 0: 32 */
    void (*layer)(void *context, const effnet_layer_error *error); /* called for each layer, in their order */
    void *context;
} effnet_dtype_options;

/* What the dtype that the model was opened with (bf16, int8), or its calibrated bytes cost, layer by layer, on pictures of `data`. */
EFFNET_API effnet_status effnet_dtype_errors(effnet_model *model, const char *data, const effnet_dtype_options *options,
                                             effnet_error *error);

typedef struct effnet_comparison {
    size_t struct_size;
    int64_t pictures;                                   /* that both could read */
    int64_t both, only_first, only_second, neither;     /* have the right answer */
    double top1[2], top1_low[2], top1_high[2];          /* per cent, with their 95 % intervals (Wilson) */
    double difference, difference_low, difference_high; /* points, second less first; 95 % (Newcombe, paired) */
    double p;                                           /* McNemar's exact test, two-sided */
} effnet_comparison;

/* Two models on the same pictures. options->report: a folder for compare.html, which shows the pictures on which they
 * differ, and differences.csv. */
EFFNET_API effnet_status effnet_compare(effnet_model *first, effnet_model *second, const char *data,
                                        const effnet_evaluate_options *options, effnet_comparison *out,
                                        effnet_error *error);

typedef struct effnet_diff_options {
    size_t struct_size;
    /* Called for each key of the recipe whose values differ; may be NULL */
    void (*key)(void *context, const char *key, const char *first, const char *second);
    void *context;
} effnet_diff_options;

typedef struct effnet_run_difference {
    size_t struct_size;
    int64_t keys;          /* of the recipe that differ */
    int64_t lines;         /* of the logs that were compared: of the same step */
    int64_t parted_step;   /* the first at which any digit differs; -1: none does */
    char parted_by[32];    /* "lr", "loss", "gradient_norm", "fingerprint" (of the weights) */
    double parted_loss[2]; /* there */
    int64_t apart_step;    /* the first whose losses are 1 % apart; -1: none is */
    int64_t last_step[2];
    double loss[2], top1[2]; /* the last of each, NaN where there is none; top1: averaged weights where kept, or -1 */
} effnet_run_difference;

/* Two run folders: the recipes they hold, and their logs line by line. */
EFFNET_API effnet_status effnet_diff_runs(const char *first, const char *second, const effnet_diff_options *options,
                                          effnet_run_difference *out, effnet_error *error);

/* ---- the same batches as another program -----------------------------------------------------------------
 * Training on batches given as tensors, to hold a run against another implementation's: no data pipeline, every
 * tensor at the end. */

typedef struct effnet_replay_step {
    size_t struct_size;
    int64_t step, steps;  /* steps done, from 1, and to do */
    double loss, lr;      /* mean loss of the batch; the rate that was used */
    double gradient_norm; /* global L2 norm before clipping, weight decay left out */
} effnet_replay_step;
/* Called after every step; return true to stop there. */
typedef bool effnet_replay_function(void *context, const effnet_replay_step *step);

typedef struct effnet_replay_options {
    size_t struct_size;
    /* A .safetensors file of `images`, float32 (N, H, W, 3) or (batches, N, H, W, 3), as the network is to see them
     * (resized and normalised), and `labels`, int32 (N) or (batches, N); other element types are converted. One long N
     * is cut into the recipe's batch_size and must be a multiple of it; stacked batches must be of that size. */
    const char *batches;
    const char *init;        /* a .safetensors of weights in timm's names; NULL: drawn as the recipe says */
    int64_t steps;           /* 0: each batch once; more steps than batches begin with the first again */
    int64_t steps_per_epoch; /* for the schedule; 0: as many as there are batches */
    /* A .safetensors to write, NULL: none: `steps/loss`, `steps/lr`, `steps/gradient_norm` (steps), and under timm's
     * names `weights/...` (statistics among them), the optimizer's slots (`mean_square/...`, `momentum/...`,
     * `first_moment/...`, `second_moment/...`) and, where the recipe averages, `ema/...`. */
    const char *dump;
    int threads;                     /* 0: the recipe's, or one for each processor */
    const char *engine;              /* as in effnet_model_options; NULL: the recipe's */
    effnet_replay_function *on_step; /* may be NULL */
    void *on_step_context;
} effnet_replay_options;

/* num_classes is the recipe's, or where that is 0 the classifier's of `init`. Stopped by on_step: EFFNET_INTERRUPTED,
 * and the dump holds the steps done. */
EFFNET_API effnet_status effnet_replay(const effnet_recipe *recipe, const effnet_replay_options *options,
                                       effnet_error *error);

/* ---- data --------------------------------------------------------------------------------------------- */

typedef struct effnet_pack_options {
    size_t struct_size;
    int size;    /* shorter side of pictures that are larger, which are made smaller; 0: 256; -1: never */
    int quality; /* of JPEGs made smaller, 1 to 100; 0: 90 */
    bool raw;    /* pixels instead of JPEGs: about ten times the room, and nothing to decode */
    int workers; /* threads; 0: one for each processor */
    effnet_progress_function
        *progress; /* phase "pack": step of steps pictures; true stops, and the same call goes on */
    void (*skipped)(void *context, const char *why); /* once for each picture that cannot be packed */
    void *context;                                   /* of all */
    void (*remark)(void *context, const char *text); /* what was taken for which split, and which files were not read */
} effnet_pack_options;

typedef struct effnet_pack_result {
    size_t struct_size;
    int64_t pictures, skipped;
    int64_t resumed; /* pictures that an earlier call, which was stopped, had done */
    int64_t kept;    /* files taken over byte for byte, of this call's */
    int64_t bytes;   /* of the file */
    int classes;
    double seconds;
} effnet_pack_result;

/* Writes every picture of `source` (any data that can be trained on, both splits) into the one file `path`, which can
 * then be trained on. Until it is whole it is called path.part; that is kept when the call fails or is stopped. */
EFFNET_API effnet_status effnet_pack(const char *source, const char *path, const effnet_pack_options *options,
                                     effnet_pack_result *result, effnet_error *error);

typedef enum effnet_data_finding {
    EFFNET_DATA_BAD,              /* a picture that cannot be decoded */
    EFFNET_DATA_LOST,             /* a record or the rest of a file, unusable from the start */
    EFFNET_DATA_DUPLICATE,        /* the same pixels twice in one split */
    EFFNET_DATA_DUPLICATE_ACROSS, /* in training and in evaluation */
    EFFNET_DATA_DUPLICATE_LABELS, /* with two labels; told besides one of the two above */
    EFFNET_DATA_REMARK,           /* nothing wrong: what was taken for which split, which files are no pictures */
} effnet_data_finding;

typedef struct effnet_data_check_options {
    size_t struct_size;
    int workers;                        /* threads; 0: one for each processor */
    effnet_progress_function *progress; /* phase "check": step of steps pictures */
    void (*found)(void *context, effnet_data_finding finding, const char *text); /* one line each */
    void *context;                                                               /* of both */
} effnet_data_check_options;

typedef struct effnet_data_report {
    size_t struct_size;
    int classes;
    char **class_names; /* (classes) */
    /* [0] training, [1] evaluation. counts: (classes) readable pictures, NULL where there is no such split. */
    int64_t *counts[2];
    int64_t pictures[2], bad[2], lost[2];
    int64_t duplicates, duplicates_across, duplicates_labels;
    bool one_split; /* both splits are the same pictures, counted under training */
} effnet_data_report;

/* Reads every picture of `source` once. The report is freed by effnet_data_report_free. */
EFFNET_API effnet_status effnet_data_check(const char *source, const effnet_data_check_options *options,
                                           effnet_data_report *report, effnet_error *error);
EFFNET_API void effnet_data_report_free(effnet_data_report *report);

typedef enum effnet_audit_kind {
    EFFNET_AUDIT_LABEL,          /* a label that is likely wrong */
    EFFNET_AUDIT_NEAR_DUPLICATE, /* nearly the same picture in training and in evaluation */
} effnet_audit_kind;

typedef struct effnet_audit_finding { /* texts are valid during the call */
    size_t struct_size;
    effnet_audit_kind kind;
    bool training; /* the picture's split; of a near duplicate `picture` is of training, other_picture of evaluation */
    const char *picture, *label;
    const char *other_picture; /* NULL of a label */
    const char *other_label;   /* of a label: the class that it is likely to be */
    double certainty;          /* of a label: that class' probability less the label's; else the share of equal bits */
    bool mirrored;             /* a near duplicate seen in a mirror */
} effnet_audit_finding;

typedef struct effnet_audit_options {
    size_t struct_size;
    int batch, workers;                 /* as in effnet_evaluate_options */
    const char *report;                 /* a folder for audit.html, suspects.csv and duplicates.csv; NULL: none */
    effnet_progress_function *progress; /* phase "eval"; may be NULL */
    /* Called at the end for every finding, the surest of each kind first; may be NULL */
    void (*found)(void *context, const effnet_audit_finding *finding);
    void *context; /* of both */
} effnet_audit_options;

typedef struct effnet_audit {
    size_t struct_size;
    int64_t pictures[2], suspects[2];                /* of training and evaluation */
    int64_t near_duplicates, near_duplicates_labels; /* pairs; of them those with two labels */
} effnet_audit;

/* A data set looked over by a model trained on it: labels that are likely wrong (confident learning, arXiv 1911.00068) and
 * pictures that stand nearly the same in training and in evaluation (perceptual hashes of what the network sees). */
EFFNET_API effnet_status effnet_data_audit(effnet_model *model, const char *data, const effnet_audit_options *options,
                                           effnet_audit *out, effnet_error *error);

typedef struct effnet_data_show_options {
    size_t struct_size;
    bool validation;   /* as in evaluation, in order; else as in training: shuffled, augmented, mixed */
    int rows, columns; /* 0: 4 and 8 */
    int workers;
    bool operations; /* instead: the first picture under each operation of the recipe's aa and aa_ops, stronger to the
                        right */
    const char *const *named_rows; /* NULL, or num_named_rows rows of the same pictures, each with settings of its own
                                      over the recipe: "KEY=VALUE KEY=VALUE ..." */
    int num_named_rows;
} effnet_data_show_options;

/* A contact sheet, as PNG or where `path` ends with .jpg as JPEG, of what the network of `recipe` will see of `source`,
 * with labels. */
EFFNET_API effnet_status effnet_data_show(const effnet_recipe *recipe, const char *source, const char *path,
                                          const effnet_data_show_options *options, effnet_error *error);

/* ---- looking inside -------------------------------------------------------------------------------------
 */

typedef struct effnet_block_summary {
    size_t struct_size; /* from one to the next, where header and library differ */
    char name[32];      /* "stem", "blocks.1.0", "head" */
    int in_height, in_width, in_channels;
    int expanded_channels, squeeze_channels; /* 0 where there is none */
    int kernel, stride;    /* of the block's depthwise convolution, of the only one in stem and head */
    char convolutions[40]; /* all of them in order: "1x1 dw3x3/2 1x1"; /2 is the stride, where it is not 1 */
    int out_height, out_width, out_channels;
    int64_t parameters;       /* trainable */
    int64_t macs;             /* multiply-accumulates an image */
    int64_t activation_bytes; /* convolution outputs an image, fp32 */
} effnet_block_summary;

typedef struct effnet_summary {
    size_t struct_size;
    char model[64];
    int resolution, num_classes;
    int64_t parameters, macs, activation_bytes;
    int num_blocks;
    effnet_block_summary *blocks; /* freed by effnet_summary_free */
    int resolution_width;         /* `resolution` is the height */
} effnet_summary;

/* The model of a recipe file, of a file of weights or a checkpoint, or of a model name, for inputs of height x width;
 * height 0: its own; width 0: the height. */
EFFNET_API effnet_status effnet_summarize(const char *recipe_or_model, int height, int width, effnet_summary *out,
                                          effnet_error *error);
EFFNET_API void effnet_summary_free(effnet_summary *summary);

/* One pass over memory in a step: what it took, the arithmetic and the memory traffic it cannot do without. The last
 * one, pass "other", is the rest of the step: packing of weights, loss, optimizer, EMA. */
typedef struct effnet_pass_profile {
    size_t struct_size;
    const char *pass, *op;    /* "conv backward", "blocks.1.0.conv_pw"; valid during the call */
    double ms, ms_best;       /* mean and best over the steps, whole batch */
    double operations, bytes; /* 0 where unknown */
} effnet_pass_profile;

typedef struct effnet_bench_options {
    size_t struct_size;
    bool infer;                            /* else a training step */
    const char *model;                     /* NULL: efficientnet_b0; or a file of weights or a checkpoint, whose
                                              resolution, settings and, with infer, weights are taken */
    int resolution, batch, threads, steps; /* 0: the model's, 32, every processor, 10 */
    const char *dtype;                     /* as in effnet_model_options; "int8" with infer alone */
    const char *engine;                    /* as in effnet_model_options */
    /* Called for each pass of a step after the measuring, in the order they ran; NULL: nobody asks. */
    void (*on_pass)(void *context, const effnet_pass_profile *pass);
    void *context;
    int fuse;           /* the recipe's key: 0 auto, 1 all, 2 none */
    const char *device; /* the recipe's key; NULL: cpu */
    /* As effnet_train_options has them, of a training step: one replica a worker, each with its part of the batch. */
    const char *dist;
    double dist_timeout;
    int resolution_width; /* 0: `resolution`, a square */
} effnet_bench_options;

typedef struct effnet_bench_result {
    size_t struct_size;
    char model[64], dtype[8], isa[128];
    int resolution, batch, threads, steps;
    double images_per_s, images_per_s_best, ms_per_step; /* medians, and the best step */
    double peak_rss_mb, activation_mb; /* activation_mb: the arena, whole batch; of a device, what was in use */
    double compile_seconds;            /* of a device's programs */
    int worker, workers;               /* this one of how many; alone 0 and 1 */
    bool told_elsewhere;               /* as effnet_train_result */
    double exchange_share;  /* of a step's time that a worker is in exchange, the mean over workers: carrying,
                                          adding up, waiting for who is slower */
    int64_t bytes_per_step; /* that a worker sends, the most of any */
    int resolution_width;   /* `resolution` is the height */
    int64_t upload_bytes;   /* that a training step sends to its devices; 0: no device */
} effnet_bench_result;

EFFNET_API effnet_status effnet_bench(const effnet_bench_options *options, effnet_bench_result *out,
                                      effnet_error *error);

/* What this machine can do at most, all threads together: multiply-adds (two operations each) in fp32, in dot products
 * of bf16, of bytes and in AMX's tiles (0: not on this processor), and memory. */
typedef struct effnet_limits {
    size_t struct_size;
    char isa[32];
    int threads;
    double gflops, bf16_gflops, int8_gops, amx_gflops, read_gbps, copy_gbps;
} effnet_limits;

/* threads 0: every processor. Takes about a second. */
EFFNET_API effnet_status effnet_measure_limits(int threads, effnet_limits *out, effnet_error *error);

/* ---- accelerators ------------------------------------------------------------------------------------- */

/* What a run's `device` may be, and what is there (docs/accelerators.md). Texts are "" and numbers 0 where unknown. */
typedef struct effnet_device {
    size_t struct_size;
    char device[4200];             /* for the recipe's key `device`: "xla:cuda", "xla:/path/to/plugin.so" */
    char plugin[4096];             /* the plugin's file; "": none is installed */
    bool hardware;                 /* something that this plugin drives shows on this machine: */
    char sign[200];                /* "/dev/nvidia0" */
    char install[80], needs[80];   /* "pip install libtpu", "a TPU of this machine" */
    char platform[128], kind[128]; /* "cuda", "NVIDIA H100 80GB HBM3" (of the first device) */
    char version[128];             /* the plugin's own words */
    int api_major, api_minor;      /* of PJRT's C interface */
    int devices;
    int64_t memory_bytes; /* of the first device, as far as a program may use it */
} effnet_device;

/* The index-th accelerator that is known, the best first, without loading anything: device, plugin, hardware, sign,
 * install, needs. False past the last, and where out->struct_size is not set. */
EFFNET_API bool effnet_device_known(int index, effnet_device *out);
/* Loads the plugin of `device` ("xla", "xla:cuda", "xla:/path/to/plugin.so") and fills in the rest. A plugin is code of
 * others that is loaded into this process for its life; call it in a process of its own where that matters. */
EFFNET_API effnet_status effnet_device_probe(const char *device, effnet_device *out, effnet_error *error);

#endif /* EFFNET_INFERENCE_ONLY */

#ifdef __cplusplus
}
#endif
#endif
