/* api_info.c - which library this is. */
#include "effnet.h"

#include "backend/cpu/isa.h"
#include "base/machine.h"

#include <stdio.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *effnet_version(void) {
    return EFFNET_VERSION;
}

const char *effnet_status_name(effnet_status status) {
    switch (status) {
#define NAME(value)                                                                                                    \
    case value:                                                                                                        \
        return #value
        NAME(EFFNET_OK);
        NAME(EFFNET_ERROR_ARGUMENT);
        NAME(EFFNET_ERROR_IO);
        NAME(EFFNET_ERROR_FORMAT);
        NAME(EFFNET_ERROR_MEMORY);
        NAME(EFFNET_ERROR_UNSUPPORTED);
        NAME(EFFNET_ERROR_NUMERIC);
        NAME(EFFNET_INTERRUPTED);
#undef NAME
    }
    return "unknown status";
}

void effnet_build_info(char *buffer, size_t size) {
    if (!buffer || size == 0) return;
    char found[120], used[40];
    cpu_isa_describe(found, sizeof found, used, sizeof used);
    char machine_text[200];
    Machine machine;
    machine_here(&machine);
    machine_describe(&machine, machine_text, sizeof machine_text);
    snprintf(buffer, size, "effnet %s, %s, ISA found: %s, used: %s, %s", EFFNET_VERSION, COMPILER, found, used,
             machine_text);
}
