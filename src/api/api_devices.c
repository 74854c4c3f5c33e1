/* api_devices.c - the accelerators that a run could use: which are known, and what a plugin finds when it is loaded. */
#include "api/handles.h"

#include "backend/xla/hardware.h"
#include "backend/xla/pjrt.h"
#include "backend/xla/plugins.h"

#include <stdio.h>
#include <string.h>

/* The public texts hold what the client's do. */
_Static_assert(sizeof((effnet_device *)0)->kind >= PJRT_TEXT, "a device's kind may be cut");
_Static_assert(sizeof((effnet_device *)0)->plugin >= PLUGIN_PATH, "a plugin's path may be cut");

bool effnet_device_known(int index, effnet_device *out) {
    const KnownPlugin *known = plugin_known(index);
    if (!known) return false;
    *out = (effnet_device){0};
    snprintf(out->device, sizeof out->device, "xla:%s", known->name);
    snprintf(out->install, sizeof out->install, "%s", known->package);
    snprintf(out->needs, sizeof out->needs, "%s", known->needs);
    out->hardware = hardware_present(known->name, out->sign, sizeof out->sign);
    char path[PLUGIN_PATH];
    if (plugin_installed(known, path)) snprintf(out->plugin, sizeof out->plugin, "%s", path);
    return true;
}

effnet_status effnet_device_probe(const char *device, effnet_device *out, effnet_error *error) {
    if (!device || !out)
        return fail(error, EFFNET_ERROR_ARGUMENT, "effnet_device_probe: a device and a place are needed");
    char path[PLUGIN_PATH];
    Pjrt *pjrt;
    *out = (effnet_device){0};
    TRY(plugin_find(device, path, error));
    TRY(pjrt_open(path, 0, &pjrt, error));
    const PjrtInfo info = pjrt_info(pjrt);
    pjrt_close(pjrt);
    snprintf(out->device, sizeof out->device, "%s", device);
    snprintf(out->plugin, sizeof out->plugin, "%s", path);
    snprintf(out->platform, sizeof out->platform, "%s", info.platform);
    snprintf(out->version, sizeof out->version, "%s", info.version);
    snprintf(out->kind, sizeof out->kind, "%s", info.kind);
    out->api_major = info.api_major;
    out->api_minor = info.api_minor;
    out->devices = info.devices;
    out->memory_bytes = info.memory_bytes;
    return EFFNET_OK;
}
