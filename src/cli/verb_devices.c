/* verb_devices.c - effnet devices: which accelerators a run could use, and what is missing for them.
 *
 * A plugin is code of others, which may print, hang or end the process where its device is not there. So each is loaded
 * in a child process that has a minute and whose messages nobody sees; what it found comes back through a pipe. */
#include "common_options.h"
#include "text.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROBE_SECONDS = 60 };

typedef struct Probe {
    effnet_status status;
    effnet_device device;
    effnet_error error;
} Probe;

static void fault(Probe *probe, const char *text) {
    probe->status = EFFNET_ERROR_IO;
    snprintf(probe->error.message, sizeof probe->error.message, "%s", text);
}

/* In the child: no output but the pipe, unless the plugin's messages are wanted. */
static void probe_and_exit(const char *device, int pipe_end, bool log) {
    static Probe probe; /* too large for a stack that a plugin shares */
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) {
        dup2(log ? STDERR_FILENO : nowhere, STDOUT_FILENO);
        if (!log) dup2(nowhere, STDERR_FILENO);
    }
    probe.device.struct_size = sizeof probe.device;
    probe.status = effnet_device_probe(device, &probe.device, &probe.error);
    const char *at = (const char *)&probe;
    for (size_t left = sizeof probe; left > 0;) {
        ssize_t put = write(pipe_end, at, left);
        if (put <= 0) break;
        at += put;
        left -= (size_t)put;
    }
    _exit(0);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* How many bytes of *probe came before the end of the pipe or of the time. */
static size_t receive(int pipe_end, Probe *probe) {
    size_t got = 0;
    double until = now() + PROBE_SECONDS;
    while (got < sizeof *probe) {
        double left = until - now();
        struct pollfd wait = {.fd = pipe_end, .events = POLLIN};
        int ready = left > 0 ? poll(&wait, 1, (int)(1e3 * left) + 1) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) break;
        ssize_t more = read(pipe_end, (char *)probe + got, sizeof *probe - got);
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) break;
        got += (size_t)more;
    }
    return got;
}

static void probe_device(const char *device, bool log, Probe *probe) {
    int ends[2];
    *probe = (Probe){.status = EFFNET_OK};
    fflush(NULL); /* or the child would print it again */
    if (pipe(ends) != 0) {
        fault(probe, strerror(errno));
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        probe_and_exit(device, ends[1], log);
    }
    close(ends[1]);
    if (child < 0) {
        fault(probe, strerror(errno));
        close(ends[0]);
        return;
    }
    double began = now();
    bool whole = receive(ends[0], probe) == sizeof *probe;
    bool late = now() - began >= PROBE_SECONDS;
    close(ends[0]);
    kill(child, SIGKILL); /* whole: it only has its own end to do */
    int end = 0;
    while (waitpid(child, &end, 0) < 0 && errno == EINTR) continue;
    if (whole) return;
    char text[200];
    if (late)
        snprintf(text, sizeof text, "the plugin did not answer within %d seconds", PROBE_SECONDS);
    else if (WIFSIGNALED(end))
        snprintf(text, sizeof text, "the plugin ended its process (%s); see --log", strsignal(WTERMSIG(end)));
    else
        snprintf(text, sizeof text, "the plugin ended its process with status %d; see --log", WEXITSTATUS(end));
    *probe = (Probe){.status = EFFNET_OK};
    fault(probe, text);
}

/* What the user has to do; "" where the device works. */
static void advice(const effnet_device *known, const Probe *probe, char *out, size_t size) {
    out[0] = 0;
    if (known->plugin[0] && probe->status == EFFNET_OK) return;
    if (!known->install[0])
        snprintf(out, size, "does not work");
    else if (!known->plugin[0])
        snprintf(out, size, "no plugin is installed; %s", known->install);
    else if (!known->hardware)
        snprintf(out, size, "there is none here: it needs %s", known->needs);
    else
        snprintf(out, size, "the plugin or what it needs is broken; %s", known->install);
}

static json_t *device_json(const effnet_device *known, const Probe *probe) {
    json_t *object = json_object();
    char todo[200];
    bool works = known->plugin[0] && probe->status == EFFNET_OK;
    advice(known, probe, todo, sizeof todo);
    json_object_set_new(object, "device", json_text(known->device));
    json_object_set_new(object, "works", json_boolean(works));
    const char *plugin = works ? probe->device.plugin : known->plugin;
    json_object_set_new(object, "plugin", plugin[0] ? json_text(plugin) : json_null());
    json_object_set_new(object, "hardware", json_boolean(known->hardware));
    if (works) {
        const effnet_device *found = &probe->device;
        char api[32];
        snprintf(api, sizeof api, "%d.%d", found->api_major, found->api_minor);
        json_object_set_new(object, "platform", json_text(found->platform));
        json_object_set_new(object, "kind", json_text(found->kind));
        json_object_set_new(object, "devices", json_integer(found->devices));
        json_object_set_new(object, "memory_bytes",
                            found->memory_bytes > 0 ? json_integer(found->memory_bytes) : json_null());
        json_object_set_new(object, "api", json_text(api));
        json_object_set_new(object, "version", json_text(found->version));
    } else {
        if (known->plugin[0]) json_object_set_new(object, "problem", json_text(probe->error.message));
        json_object_set_new(object, "missing", json_text(todo));
    }
    return object;
}

static void print_line(const char *text) {
    char safe[4400];
    text_for_terminal(text, safe, sizeof safe);
    printf("            %s\n", safe);
}

static void print_device(const effnet_device *known, const Probe *probe) {
    char line[4400], todo[200], name[4400];
    text_for_terminal(known->device, name, sizeof name);
    printf("  %-9s ", name);
    advice(known, probe, todo, sizeof todo);
    if (known->plugin[0] && probe->status == EFFNET_OK) {
        const effnet_device *found = &probe->device;
        char kind[200];
        text_for_terminal(found->kind[0] ? found->kind : found->platform, kind, sizeof kind);
        printf("%s, %d device%s", kind, found->devices, found->devices == 1 ? "" : "s");
        if (found->memory_bytes > 0) printf(", %.1f GB each", 1e-9 * (double)found->memory_bytes);
        printf("\n");
        print_line(found->plugin);
        snprintf(line, sizeof line, "PJRT %d.%d; %s", found->api_major, found->api_minor, found->version);
        print_line(line);
        return;
    }
    printf("%s%s\n", todo, known->hardware && known->sign[0] ? " (the hardware is here)" : "");
    if (known->plugin[0]) {
        print_line(known->plugin);
        print_line(probe->error.message);
    }
}

static int list(const effnet_device *devices, int count, bool json, bool log, bool named) {
    static Probe probe;
    json_t *array = json ? json_array() : NULL;
    int working = 0;
    if (!json && !named) {
        char text[400];
        effnet_build_info(text, sizeof text);
        const char *used = strstr(text, "used: ");
        printf("  %-9s this processor, %.*s\n", "cpu", used ? (int)strcspn(used + 6, ",") : 3, used ? used + 6 : "any");
    }
    for (int i = 0; i < count; i++) {
        if (devices[i].plugin[0])
            probe_device(devices[i].device, log, &probe);
        else
            probe = (Probe){.status = EFFNET_OK};
        working += devices[i].plugin[0] && probe.status == EFFNET_OK;
        if (json)
            json_array_append_new(array, device_json(&devices[i], &probe));
        else
            print_device(&devices[i], &probe);
    }
    if (json) {
        json_t *object = json_object();
        json_object_set_new(object, "devices", array);
        int status = json_print("devices", object);
        if (status != EXIT_OK) return status;
    }
    return named && working < count ? EXIT_FAILED : EXIT_OK;
}

/* A device that was named: what is known of it, or as much as its name says. */
static void describe(const char *name, effnet_device *out) {
    effnet_device known = {.struct_size = sizeof known};
    for (int i = 0; effnet_device_known(i, &known); i++)
        if (strcmp(known.device, name) == 0) {
            *out = known;
            return;
        }
    *out = (effnet_device){.struct_size = sizeof *out, .hardware = true};
    snprintf(out->device, sizeof out->device, "%s", name);
    snprintf(out->plugin, sizeof out->plugin, "%.4000s", strncmp(name, "xla:", 4) == 0 ? name + 4 : name);
}

int verb_devices(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "devices",
        .text = "Without DEVICE, everything that is known: the processor, the plugin of PJRT_PLUGIN_LIBRARY_PATH, and\n"
                "TPUs, GPUs and the processor through the plugins of Python packages, which are looked for in\n"
                "EFFNET_PLUGINS, VIRTUAL_ENV, beside python3, in ~/.local and /usr/local. With DEVICE (xla, xla:cuda,\n"
                "xla:/path/to/plugin.so) those alone, and exit status 1 where one does not work.\n"
                "Each plugin is loaded in a process of its own, which has a minute.\n",
        .examples = "  effnet devices\n  effnet devices xla:cuda --json\n  effnet devices xla:/opt/plugin.so --log\n",
    };
    bool json = false, log = false;
    const Option options[] = {OPTION_ROW_FLAG("log", &log, "let the plugins' own messages through"),
                              OPTION_ROW_JSON(&json, "one JSON object"),
                              {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    int known = 0, count = 0;
    effnet_device one = {.struct_size = sizeof one};
    while (effnet_device_known(known, &one)) known++;
    effnet_device *devices = calloc((size_t)(line.count + known + 1), sizeof *devices);
    if (!devices) {
        fprintf(stderr, "effnet devices: no memory\n");
        return EXIT_FAILED;
    }
    const char *set = getenv("PJRT_PLUGIN_LIBRARY_PATH");
    for (int i = 0; i < line.count; i++) describe(line.arguments[i], &devices[count++]);
    if (line.count == 0) {
        if (set && *set) {
            char name[4200];
            snprintf(name, sizeof name, "xla:%.4000s", set);
            describe(name, &devices[count++]);
        }
        for (int i = 0; i < known; i++) {
            devices[count].struct_size = sizeof *devices;
            effnet_device_known(i, &devices[count++]);
        }
    }
    status = list(devices, count, json, log, line.count > 0);
    free(devices);
    return status;
}
