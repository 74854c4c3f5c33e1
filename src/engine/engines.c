/* engines.c - the engines by name: the one list of them, the fastest first. */
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const EngineVtable *vtable;
} engines[] = {
    {"cpu", &cpu_engine},
    {"reference", &reference_engine},
};
enum { ENGINES = sizeof engines / sizeof engines[0] };

effnet_status engine_find(const char *name, const EngineVtable **out, effnet_error *err) {
    *out = NULL;
    if (!name || !name[0] || strcmp(name, "fast") == 0) name = engines[0].name;
    for (int i = 0; i < ENGINES; i++)
        if (strcmp(name, engines[i].name) == 0) *out = engines[i].vtable;
    if (*out) return EFFNET_OK;
    char names[100] = "";
    for (int i = 0; i < ENGINES; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", engines[i].name);
    }
    return fail(err, EFFNET_ERROR_ARGUMENT, "engine is '%.40s'; allowed: %s, or fast for the first of them", name,
                names);
}
