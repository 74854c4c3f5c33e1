/* api_info.c - which library this is. */
#include "effnet.h"

#include "backend/cpu/isa.h"

#include <stdio.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *effnet_version(void) {
    return EFFNET_VERSION;
}

void effnet_build_info(char *buffer, size_t size) {
    char found[120], used[40];
    cpu_isa_describe(found, sizeof found, used, sizeof used);
    snprintf(buffer, size, "effnet %s, %s, ISA found: %s, used: %s", EFFNET_VERSION, COMPILER, found, used);
}
