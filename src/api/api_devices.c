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
    if (!out || result_clear(out, "effnet_device", NULL) != EFFNET_OK) return false;
    const KnownPlugin *known = plugin_known(index);
    if (!known) return false;
    effnet_device found = {0};
    snprintf(found.device, sizeof found.device, "xla:%s", known->name);
    snprintf(found.install, sizeof found.install, "%s", known->package);
    snprintf(found.needs, sizeof found.needs, "%s", known->needs);
    found.hardware = hardware_present(known->name, found.sign, sizeof found.sign);
    char path[PLUGIN_PATH];
    if (plugin_installed(known, path)) snprintf(found.plugin, sizeof found.plugin, "%s", path);
    result_write(out, &found, sizeof found);
    return true;
}

effnet_status effnet_device_probe(const char *device, effnet_device *out, effnet_error *error) {
    char path[PLUGIN_PATH];
    PluginOptions options;
    Pjrt *pjrt;
    effnet_device found = {0};
    NEED(out);
    TRY(result_clear(out, "effnet_device", error));
    NEED(device);
    TRY(plugin_find(device, path, &options, error));
    TRY(pjrt_open(path, 0, &options, &pjrt, error));
    const PjrtInfo info = pjrt_info(pjrt);
    pjrt_close(pjrt);
    snprintf(found.device, sizeof found.device, "%s", device);
    snprintf(found.plugin, sizeof found.plugin, "%s", path);
    snprintf(found.platform, sizeof found.platform, "%s", info.platform);
    snprintf(found.version, sizeof found.version, "%s", info.version);
    snprintf(found.kind, sizeof found.kind, "%s", info.kind);
    found.api_major = info.api_major;
    found.api_minor = info.api_minor;
    found.devices = info.devices;
    found.memory_bytes = info.memory_bytes;
    result_write(out, &found, sizeof found);
    return EFFNET_OK;
}
