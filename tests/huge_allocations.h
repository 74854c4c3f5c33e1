/* huge_allocations.h - include it in a test that asks for more memory than there is: under a sanitizer malloc then
 * returns NULL, as it does without one, instead of ending the program. */
#ifndef EFFNET_TESTS_HUGE_ALLOCATIONS_H
#define EFFNET_TESTS_HUGE_ALLOCATIONS_H

const char *__asan_default_options(void);
const char *__tsan_default_options(void);

__attribute__((used, visibility("default"))) const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

__attribute__((used, visibility("default"))) const char *__tsan_default_options(void) {
    return "allocator_may_return_null=1";
}

#endif
