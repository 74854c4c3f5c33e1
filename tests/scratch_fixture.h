/* scratch_fixture.h - one scratch folder for a whole group of cmocka tests: its set-up and tear-down. */
#ifndef EFFNET_TESTS_SCRATCH_FIXTURE_H
#define EFFNET_TESTS_SCRATCH_FIXTURE_H

#include "scratch_folder.h"

static ScratchFolder folder;

static inline int set_up(void **state) {
    (void)state;
    folder = scratch_folder_create();
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    scratch_folder_remove(&folder);
    return 0;
}

#endif
