/* verb_version.c - effnet version. */
#include "options.h"
#include "verbs.h"

#include <stdio.h>

int verb_version(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "version",
        .text = "EFFNET_ISA=scalar, avx2, avxvnni, avx512, avx512bf16 or amx (on ARM scalar, neon or neonbf16) in the "
                "environment makes every verb use that instruction set.\n",
        .examples = "  effnet version\n  EFFNET_ISA=avx2 effnet version\n",
    };
    const Option options[] = {{0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count) return usage_error("version", "unexpected argument '%.60s'", line.arguments[0]);
    char text[800];
    effnet_build_info(text, sizeof text);
    printf("%s\n", text);
    return EXIT_OK;
}
