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

void effnet_build_info(char *buffer, size_t size) {
    char found[120], used[40];
    cpu_isa_describe(found, sizeof found, used, sizeof used);
    char machine_text[200];
    Machine machine;
    machine_here(&machine);
    machine_describe(&machine, machine_text, sizeof machine_text);
    snprintf(buffer, size, "effnet %s, %s, ISA found: %s, used: %s, %s", EFFNET_VERSION, COMPILER, found, used,
             machine_text);
}
