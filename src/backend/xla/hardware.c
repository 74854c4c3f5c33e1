/* hardware.c - see hardware.h. */
#include "backend/xla/hardware.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool first_match(const char *pattern, char *sign, size_t size) {
    glob_t found = {0};
    bool there = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0;
    if (there) snprintf(sign, size, "%s", found.gl_pathv[0]);
    globfree(&found);
    return there;
}

static bool file_says(const char *folder, const char *name, const char *const *values) {
    char path[512], text[32] = "";
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) return false;
    FILE *file = fopen(path, "r");
    if (!file) return false;
    if (!fgets(text, sizeof text, file)) text[0] = 0;
    fclose(file);
    text[strcspn(text, "\n")] = 0;
    for (; *values; values++)
        if (strcmp(text, *values) == 0) return true;
    return false;
}

/* A TPU on this machine's bus: Google's vendor number and the device numbers of v2 to v7 (Google's network card has the
 * vendor's number too). */
static bool tpu_on_bus(char *sign, size_t size) {
    static const char *const google[] = {"0x1ae0", NULL};
    static const char *const tpus[] = {"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076", NULL};
    glob_t found = {0};
    bool there = false;
    if (glob("/sys/bus/pci/devices/*", 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && !there; i++) {
            const char *folder = found.gl_pathv[i];
            there = file_says(folder, "vendor", google) && file_says(folder, "device", tpus);
            if (there) snprintf(sign, size, "%s", folder);
        }
    globfree(&found);
    return there;
}

bool hardware_present(const char *name, char *sign, size_t size) {
    if (size) sign[0] = 0;
    if (strcmp(name, "cuda") == 0) /* dxg: Windows' subsystem for Linux */
        return first_match("/dev/nvidia[0-9]*", sign, size) || first_match("/dev/dxg", sign, size);
    if (strcmp(name, "rocm") == 0) return first_match("/dev/kfd", sign, size);
    if (strcmp(name, "tpu") == 0) return first_match("/dev/accel[0-9]*", sign, size) || tpu_on_bus(sign, size);
    return strcmp(name, "cpu") == 0;
}
