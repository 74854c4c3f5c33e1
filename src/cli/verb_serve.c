/* verb_serve.c - effnet serve: a trained model behind HTTP. Built without libmicrohttpd (EFFNET_SERVE not defined) it says
 * so and what to install. */
#include "common_options.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>

#ifdef EFFNET_SERVE
#include "interrupt.h"
#include "serve_address.h"
#include "serve_http.h"
#include "serve_queue.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MEGABYTE = 1000 * 1000, WATCH_NANOSECONDS = 200 * 1000 * 1000, DEFAULT_TOPK = 5 };

static int serve(const ServeOptions *options) {
    const struct timespec nap = {.tv_nsec = WATCH_NANOSECONDS};
    char problem[300], reason[100];
    interrupt_install();
    ServeServer *server = serve_start(options, problem, sizeof problem);
    if (!server) {
        fprintf(stderr, "effnet serve: %s\n", problem);
        return EXIT_FAILED;
    }
    if (!serve_is_loopback(options->address))
        fprintf(stderr,
                "effnet serve: warning: whoever reaches %s of this machine may send pictures; nobody is asked who "
                "they are\n",
                options->address);
    text_print_card(options->model, stdout);
    const char *bracket = strchr(options->address, ':') ? "[" : "";
    printf("serving http://%s%s%s:%d/  (POST a picture to /predict; /health, /metrics; Ctrl-C ends)\n", bracket,
           options->address, *bracket ? "]" : "", serve_port(server));
    fflush(stdout);
    while (!interrupt_requested()) {
        nanosleep(&nap, NULL);
        serve_watch(server);
    }
    interrupt_reason(reason, sizeof reason);
    fprintf(stderr, "effnet serve: %s: answering what was sent, then ending\n", reason);
    serve_stop(server);
    return EXIT_OK;
}

/* options->workers and topk 0: as many as there are processors, and DEFAULT_TOPK. */
static int open_and_serve(const char *checkpoint, const effnet_model_options *how, ServeOptions *options) {
    effnet_error error;
    if (effnet_model_open(checkpoint, how, &options->model, &error) != EFFNET_OK) return report("serve", &error);
    const int classes = effnet_model_classes(options->model);
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int status;
    if (options->workers == 0) options->workers = processors > 0 ? (int)processors : 1;
    if (options->topk > classes)
        status = usage_error("serve", "--topk is %d; this model has %d classes", options->topk, classes);
    else {
        if (options->topk == 0) options->topk = classes < DEFAULT_TOPK ? classes : DEFAULT_TOPK;
        status = serve(options);
    }
    effnet_model_free(options->model);
    return status;
}
#endif

static const VerbHelp help = {
    .verb = "serve",
    .text = "An HTTP server for one model. POST a picture's file (JPEG, PNG, WebP, BMP, GIF, TIFF) to /predict, as "
            "the\n"
            "body or as the file of a form, and get its classes as JSON; /predict?topk=K says how many. Open / in a\n"
            "browser to drop a picture on a page; /health and /metrics (Prometheus) are for whoever looks after it.\n"
            "It listens on this machine only unless --listen says otherwise, and asks nobody who they are: to serve\n"
            "others put a server in front that does. A picture that is none, too large or too slow gets an error, and\n"
            "keeps nobody else waiting. SIGTERM or Ctrl-C: what was sent is answered, then it ends.\n",
    .examples = "  effnet serve runs/mine\n"
                "  effnet serve mine.safetensors --port 9000 --topk 3 --dtype bf16\n"
                "  curl --data-binary @ant.jpg http://127.0.0.1:8080/predict\n"
                "  curl -F picture=@ant.jpg 'http://127.0.0.1:8080/predict?topk=1'\n",
};

int verb_serve(int argc, char **argv) {
    const char *weights = "ema", *address = "127.0.0.1", *dtype = "fp32";
    int64_t port = 8080, topk = 0, workers = 0, threads = 1, batch = 8, connections = 512, bytes = 16, pixels = 50;
    int64_t memory = 256, timeout = 30;
    const Option options[] = {
        OPTION_ROW_TEXT("listen", "ADDRESS", &address,
                        "where to listen; default 127.0.0.1, this machine only; 0.0.0.0: everywhere"),
        OPTION_ROW_INTEGER("port", "N", &port, 0, 65535, "default 8080; 0: any that is free, told at the start"),
        OPTION_ROW_INTEGER("topk", "K", &topk, 1, 100000,
                           "classes of an answer that does not ask for another number; default 5, or all"),
        OPTION_ROW_WEIGHTS(&weights),
        OPTION_ROW_DTYPE(&dtype),
        OPTION_ROW_INTEGER("workers", "N", &workers, 0, 256,
                           "how many run the model at once; 0, the default: " ONE_EACH_PROCESSOR),
        OPTION_ROW_INTEGER(
            "threads", "N", &threads, 1, 1024,
            "engine threads; default 1, most pictures a second; more, with --workers 1: one picture soonest"),
        OPTION_ROW_INTEGER("batch", "N", &batch, 1, 32,
                           "pictures that a worker takes at once where so many wait; default 8"),
        OPTION_ROW_INTEGER("connections", "N", &connections, 1, 65536,
                           "open at once; others wait until one closes; default 512"),
        OPTION_ROW_INTEGER("max-bytes", "MB", &bytes, 1, 1000, "of a picture's file; default 16"),
        OPTION_ROW_INTEGER("max-pixels", "MILLIONS", &pixels, 1, 200,
                           "of a picture, as its header says, before memory is taken for them; default 50"),
        OPTION_ROW_INTEGER("memory", "MB", &memory, 1, 1000000,
                           "for files that are being sent or wait; beyond it: 503, try again; default 256"),
        OPTION_ROW_INTEGER("timeout", "SECONDS", &timeout, 1, 3600,
                           "for a request to arrive whole, and for its answer to be read; default 30"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("serve", "no checkpoint given");
    if (line.count > 1) return usage_error("serve", "unexpected argument '%.60s'", line.arguments[1]);
#ifdef EFFNET_SERVE
    const effnet_model_options model_options = {.struct_size = sizeof model_options,
                                                .threads = (int)threads,
                                                .raw_weights = strcmp(weights, "raw") == 0,
                                                .dtype = dtype,
                                                .most_pixels = pixels * MEGABYTE};
    ServeOptions serve_options = {.address = address,
                                  .port = (int)port,
                                  .workers = (int)workers,
                                  .batch = (int)batch,
                                  .topk = (int)topk,
                                  .connections = (int)connections,
                                  .most_bytes = (size_t)bytes * MEGABYTE,
                                  .most_body_bytes = (size_t)memory * MEGABYTE,
                                  .timeout = (int)timeout};
    return open_and_serve(line.arguments[0], &model_options, &serve_options);
#else
    fprintf(stderr,
            "effnet serve: this program was built without libmicrohttpd; install libmicrohttpd-dev (Debian) and "
            "build again\n");
    return EXIT_FAILED;
#endif
}
