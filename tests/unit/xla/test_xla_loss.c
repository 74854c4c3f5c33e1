/* The losses of a program for accelerators against the host's: cross-entropy, binary and focal, with every kind of
 * target and with weights, in programs of that part alone. Runs through a CPU plugin; skipped where none is installed
 * (tools/setup.sh test). */
#include "backend/xla/pjrt.h"
#include "backend/xla/xla_network.h"
#include "base/random.h"
#include "step/loss.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/xla/xla_fixture.h" /* last: cmocka has a macro fail() */

enum { IMAGES = 6, CLASSES = 5 };
enum { LOGITS, LABELS, OTHERS, SHARES, DENSE, WEIGHTS, ARGUMENTS };

static Pjrt *pjrt;

typedef struct Case {
    const char *name;
    StepSpec spec;
    bool mixed, dense, weighted;
} Case;

static XlaProgram write_program(const Case *what) {
    XlaProgram program = {.replicas = 1, .num_arguments = ARGUMENTS, .num_results = 2};
    for (int i = 0; i < ARGUMENTS; i++)
        program.arguments[i] = (XlaValue){.role = XLA_PICTURES,
                                          .type = i == LABELS || i == OTHERS ? XLA_I32 : XLA_F32,
                                          .rank = i == LOGITS || i == DENSE ? 2 : 1,
                                          .shape = {IMAGES, CLASSES},
                                          .alias = -1};
    program.results[0] = (XlaValue){.role = XLA_LOSS, .type = XLA_F32, .alias = -1};
    program.results[1] = program.arguments[LOGITS];
    Hlo *hlo = hlo_create();
    assert_non_null(hlo);
    HloValue in[ARGUMENTS], out[2];
    hlo_begin_main(hlo, &program, in);
    XlaNetwork net = {.hlo = hlo, .spec = &what->spec, .images = IMAGES};
    const XlaTargets given = {.labels = in[LABELS],
                              .others = what->mixed ? in[OTHERS] : xla_none(),
                              .shares = what->mixed ? in[SHARES] : xla_none(),
                              .dense = what->dense ? in[DENSE] : xla_none(),
                              .weights = what->weighted ? in[WEIGHTS] : xla_none()};
    out[0] = xla_loss(&net, in[LOGITS], &given, 1.0 / IMAGES, &out[1]);
    hlo_end_main(hlo, out, 2);
    program.text = hlo_finish(hlo, &program.bytes);
    assert_non_null(program.text);
    return program;
}

static void compare(const Case *what) {
    float logits[IMAGES * CLASSES], dense[IMAGES * CLASSES], shares[IMAGES], weights[IMAGES];
    int32_t labels[IMAGES], others[IMAGES];
    const RandomKey key = random_key(11);
    for (int i = 0; i < IMAGES * CLASSES; i++) {
        logits[i] = 3 * random_normal(key, (uint64_t)i);
        dense[i] = (float)(i % 3) / 2;
    }
    logits[0] = 40; /* far out on either side */
    logits[1] = -40;
    for (int n = 0; n < IMAGES; n++) {
        labels[n] = n % CLASSES;
        others[n] = (2 * n + 1) % CLASSES;
        shares[n] = 0.2f * (float)n;
        weights[n] = 0.5f + 0.3f * (float)n;
    }
    const void *values[ARGUMENTS] = {logits, labels, others, shares, dense, weights};
    effnet_error error;
    XlaProgram program = write_program(what);
    PjrtExecutable *executable;
    PjrtBuffer *arguments[ARGUMENTS], *results[2];
    must(pjrt_compile(pjrt, &program, NULL, &executable, NULL, &error), &error);
    for (int i = 0; i < ARGUMENTS; i++)
        must(pjrt_upload(pjrt, 0, program.arguments[i].type, program.arguments[i].rank, program.arguments[i].shape,
                         values[i], &arguments[i], &error),
             &error);
    must(pjrt_execute(executable, arguments, results, &error), &error);
    float loss, gradient[IMAGES * CLASSES], wanted[IMAGES * CLASSES];
    must(pjrt_download(pjrt, results[0], &loss, sizeof loss, &error), &error);
    must(pjrt_download(pjrt, results[1], gradient, sizeof gradient, &error), &error);
    const Targets targets = {.labels = labels,
                             .others = what->mixed ? others : NULL,
                             .shares = what->mixed ? shares : NULL,
                             .dense = what->dense ? dense : NULL,
                             .weights = what->weighted ? weights : NULL};
    const double want = IMAGES * loss_of_step(&what->spec, logits, &targets, IMAGES, CLASSES, 1, NULL, wanted);
    if (!(fabs(loss - want) <= 3e-6 * fabs(want)))
        fail_msg("%s: the loss is %.9g, want %.9g", what->name, (double)loss, want);
    for (int i = 0; i < IMAGES * CLASSES; i++)
        if (!(fabsf(gradient[i] - wanted[i]) <= 1e-6f + 1e-5f * fabsf(wanted[i])))
            fail_msg("%s: the gradient of class %d of image %d is %.9g, want %.9g", what->name, i % CLASSES,
                     i / CLASSES, (double)gradient[i], (double)wanted[i]);
    for (int i = 0; i < ARGUMENTS; i++) pjrt_buffer_free(pjrt, arguments[i]);
    for (int i = 0; i < 2; i++) pjrt_buffer_free(pjrt, results[i]);
    pjrt_executable_free(executable);
    xla_program_free(&program);
}

#define BINARY .loss = STEP_LOSS_BINARY
#define FOCAL  .loss = STEP_LOSS_FOCAL
static const Case cases[] = {
    {"cross-entropy, smoothed", {.smoothing = 0.1}, false, false, false},
    {"cross-entropy, mixed and weighted", {.smoothing = 0.1}, true, false, true},
    {"binary", {BINARY}, false, false, false},
    {"binary, smoothed, mixed, summed", {BINARY, .smoothing = 0.1, .loss_sum = true}, true, false, false},
    {"binary, threshold", {BINARY, .smoothing = 0.1, .loss_threshold = 0.3}, true, false, true},
    {"binary, each class told", {BINARY, .smoothing = 0.1}, false, true, true},
    {"focal", {FOCAL, .focal_gamma = 2, .focal_alpha = 0.25}, false, false, false},
    {"focal, gamma 0", {FOCAL, .focal_gamma = 0, .focal_alpha = -1}, false, true, true},
    {"focal, gamma 1", {FOCAL, .focal_gamma = 1, .focal_alpha = -1, .loss_sum = true}, true, false, false},
    {"focal, gamma 0.5", {FOCAL, .focal_gamma = 0.5, .focal_alpha = 0.4}, false, true, false},
};

static void as_on_the_host(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) compare(&cases[i]);
}

int main(void) {
    char path[PLUGIN_PATH];
    effnet_error error;
    if (!xla_plugin(path)) return XLA_SKIPPED;
    if (pjrt_open(path, 1, NULL, &pjrt, &error) != EFFNET_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_on_the_host)};
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    pjrt_close(pjrt);
    return failures;
}
