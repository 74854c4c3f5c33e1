/* xla_fixture.h - what the tests of accelerators begin with: the plugin for the processor, quiet and without programs of an
 * earlier build. */
#ifndef EFFNET_TESTS_UNIT_XLA_XLA_FIXTURE_H
#define EFFNET_TESTS_UNIT_XLA_XLA_FIXTURE_H

#include "backend/xla/plugins.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

enum { XLA_SKIPPED = 77 };

static inline void must(effnet_status status, const effnet_error *error) {
    if (status != EFFNET_OK) fail_msg("%s", error->message);
}

/* Before the plugin is loaded: LLVM makes less of what runs for a moment, in two thirds of the time. */
static inline void quick_compilation(void) {
    setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0);
    setenv("XLA_FLAGS", "--xla_backend_optimization_level=1", 0);
}

/* Its file; false, and said why, where none is installed (tools/setup.sh test): then main returns XLA_SKIPPED. */
static inline bool xla_plugin(char path[PLUGIN_PATH]) {
    effnet_error error;
    quick_compilation();
    if (plugin_find("xla:cpu", path, &(PluginOptions){0}, &error) == EFFNET_OK) return true;
    printf("skipped: %s\n", error.message);
    return false;
}

#endif
