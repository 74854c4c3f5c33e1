/* serve_http.c - see serve_http.h. A request is received piece by piece (libmicrohttpd calls `handle` again and again);
 * when its picture is complete the connection is suspended and the picture queued; the worker that is done with it writes
 * the answer and resumes the connection, whose `handle` then sends it. Until then the request is the worker's.
 *
 * Everything a client can make grow is bounded: connections, bytes of a picture, bytes of all pictures, headers (by
 * libmicrohttpd), pixels (effnet_model_options.most_pixels), and the time that a request may take to arrive and its answer
 * to be read, however slowly bytes trickle. */
#include "serve_http.h"

#include "serve_address.h"
#include "serve_metrics.h"
#include "serve_page.h"
#include "serve_queue.h"
#include "text.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FORM_BUFFER = 16 << 10, FIRST_BODY = 64 << 10, BACKLOG = 1024, NAP = 20 * 1000 * 1000 };

/* A connection, which may carry several requests one after the other. */
typedef struct Client {
    struct Client *next, **link;
    int socket;
    double since; /* its present request, or its answer, began */
    bool computing;
} Client;

typedef struct Request {
    struct ServeServer *server;
    struct MHD_Connection *connection;
    struct MHD_PostProcessor *form; /* the picture is a part of a form */
    bool has_file;                  /* one was found in it */
    uint8_t *bytes;
    size_t size, capacity;
    double began;
    ServeJob job;
    unsigned status; /* of the answer; 0: none yet */
    char *answer;    /* JSON */
} Request;

struct ServeServer {
    ServeOptions options;
    struct MHD_Daemon *daemon;
    ServeQueue *queue;
    ServeMetrics metrics;
    pthread_mutex_t lock; /* over: */
    Client *clients;
    int client_count, requests; /* requests: those with a picture */
    size_t body_bytes;
    bool ending, closed; /* no new pictures are taken; none is given to the queue any more */
};

static const char seen; /* stands for a request of other kind than a picture's */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- connections ---- */

static Client *client_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what) {
    ServeServer *server = context;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    pthread_mutex_lock(&server->lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        Client *client = calloc(1, sizeof *client);
        *socket_context = client;
        if (client) {
            *client =
                (Client){.next = server->clients, .link = &server->clients, .socket = info->connect_fd, .since = now()};
            if (client->next) client->next->link = &client->next;
            server->clients = client;
            server->client_count++;
        }
    } else if (*socket_context) {
        Client *client = *socket_context;
        *client->link = client->next;
        if (client->next) client->next->link = client->link;
        server->client_count--;
        free(client);
        *socket_context = NULL;
    }
    pthread_mutex_unlock(&server->lock);
}

static void set_computing(Request *request, bool computing) {
    pthread_mutex_lock(&request->server->lock);
    Client *client = client_of(request->connection);
    if (client) {
        client->computing = computing;
        client->since = now();
    }
    pthread_mutex_unlock(&request->server->lock);
}

/* The socket is only shut: libmicrohttpd sees its end and closes it, after on_connection. */
void serve_watch(ServeServer *server) {
    const double late = now() - server->options.timeout;
    pthread_mutex_lock(&server->lock);
    for (Client *client = server->clients; client; client = client->next)
        if (!client->computing && client->since < late && client->socket >= 0) {
            shutdown(client->socket, SHUT_RDWR);
            client->socket = -1;
            serve_count_cut_off(&server->metrics);
        }
    pthread_mutex_unlock(&server->lock);
}

/* ---- answers ---- */

static enum MHD_Result reply(ServeServer *server, struct MHD_Connection *connection, unsigned status, const char *type,
                             const char *text, enum MHD_ResponseMemoryMode mode) {
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), (char *)text, mode);
    if (!response) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (strncmp(type, "text/html", 9) == 0)
        MHD_add_response_header(response, "Content-Security-Policy", SERVE_PAGE_POLICY);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, POST");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE) MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    serve_count_reply(&server->metrics, status);
    return result;
}

static char *json_to_text(json_t *object) {
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(object);
    return text;
}

static char *error_text(const char *message) {
    json_t *object = json_object();
    json_object_set_new(object, "error", json_text(message));
    return json_to_text(object);
}

/* Takes `text` over. */
static enum MHD_Result reply_json(ServeServer *server, struct MHD_Connection *connection, unsigned status, char *text) {
    if (!text) return MHD_NO; /* no memory: the connection is closed */
    enum MHD_Result result = reply(server, connection, status, "application/json", text, MHD_RESPMEM_MUST_COPY);
    free(text);
    return result;
}

/* The request's answer from now on, unless it has one. */
static void refuse(Request *request, unsigned status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void refuse(Request *request, unsigned status, const char *format, ...) {
    char message[600];
    va_list arguments;
    if (request->status) return;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    request->status = status;
    request->answer = error_text(message);
}

static char *health(const ServeServer *server, bool ending) {
    json_t *object = json_object();
    json_object_set_new(object, "status", json_text(ending ? "ending" : "ok"));
    json_object_set_new(object, "model", json_text(effnet_model_name(server->options.model)));
    json_object_set_new(object, "classes", json_integer(effnet_model_classes(server->options.model)));
    json_object_set_new(object, "version", json_text(effnet_version()));
    return json_to_text(object);
}

static enum MHD_Result answer_get(ServeServer *server, struct MHD_Connection *connection, const char *url) {
    pthread_mutex_lock(&server->lock);
    const ServeGauges gauges = {.connections = server->client_count,
                                .body_bytes = server->body_bytes,
                                .waiting = server->closed ? 0 : serve_queue_waiting(server->queue)};
    const bool ending = server->ending;
    pthread_mutex_unlock(&server->lock);
    if (strcmp(url, "/") == 0)
        return reply(server, connection, MHD_HTTP_OK, "text/html; charset=utf-8", serve_page, MHD_RESPMEM_PERSISTENT);
    if (strcmp(url, "/health") == 0)
        return reply_json(server, connection, ending ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                          health(server, ending));
    if (strcmp(url, "/metrics") == 0) {
        char *text = serve_metrics_text(&server->metrics, &gauges);
        if (!text) return MHD_NO;
        enum MHD_Result result =
            reply(server, connection, MHD_HTTP_OK, "text/plain; version=0.0.4", text, MHD_RESPMEM_MUST_COPY);
        free(text);
        return result;
    }
    return reply_json(server, connection, MHD_HTTP_NOT_FOUND,
                      error_text("there is /predict (POST a picture), /, /health and /metrics, nothing else"));
}

/* ---- a picture comes in ---- */

/* Room for `more` bytes, out of what all requests together may have. */
static void append(Request *request, const void *data, size_t more) {
    ServeServer *server = request->server;
    if (request->status) return; /* what comes after a refusal is let pass */
    if (more > server->options.most_bytes - request->size) {
        refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "the picture has more than the %zu bytes allowed here",
               server->options.most_bytes);
        return;
    }
    size_t wanted = request->capacity ? request->capacity : FIRST_BODY;
    while (wanted < request->size + more) wanted *= 2;
    if (wanted > request->capacity) {
        const size_t growth = wanted - request->capacity;
        pthread_mutex_lock(&server->lock);
        const bool fits = growth <= server->options.most_body_bytes - server->body_bytes;
        if (fits) server->body_bytes += growth;
        pthread_mutex_unlock(&server->lock);
        uint8_t *larger = fits ? realloc(request->bytes, wanted) : NULL;
        if (larger) request->bytes = larger;
        if (fits) request->capacity = wanted; /* counted, also where realloc failed */
        if (!larger) {
            refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many pictures at once; try again in a second");
            return;
        }
    }
    memcpy(request->bytes + request->size, data, more);
    request->size += more;
}

static enum MHD_Result on_form(void *context, enum MHD_ValueKind kind, const char *key, const char *file,
                               const char *type, const char *encoding, const char *data, uint64_t offset, size_t size) {
    Request *request = context;
    (void)kind, (void)key, (void)type, (void)encoding;
    if (!file) return MHD_YES; /* another field of the form */
    if (offset == 0 && request->has_file)
        refuse(request, MHD_HTTP_BAD_REQUEST, "the form has more than one file; send one picture a request");
    request->has_file = true;
    append(request, data, size);
    return MHD_YES;
}

static bool is_form(struct MHD_Connection *connection) {
    static const char form[] = "multipart/form-data";
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    return type && strncasecmp(type, form, sizeof form - 1) == 0;
}

static void read_topk(Request *request, struct MHD_Connection *connection) {
    const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "topk");
    const int classes = effnet_model_classes(request->server->options.model);
    request->job.top = request->server->options.topk;
    if (!text) return;
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < 1 || value > classes)
        refuse(request, MHD_HTTP_BAD_REQUEST, "topk is '%.40s'; allowed: 1 to %d", text, classes);
    else
        request->job.top = (int)value;
}

static Request *begin(ServeServer *server, struct MHD_Connection *connection, const char *url) {
    Request *request = calloc(1, sizeof *request);
    if (!request) return NULL;
    *request = (Request){.server = server, .connection = connection, .began = now()};
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const unsigned long long slack = is_form(connection) ? FORM_BUFFER : 0; /* a form's own lines */
    Client *client = client_of(connection);
    pthread_mutex_lock(&server->lock);
    if (client) client->since = now();
    server->requests++;
    const bool ending = server->ending;
    pthread_mutex_unlock(&server->lock);
    if (strcmp(url, "/predict") != 0) refuse(request, MHD_HTTP_NOT_FOUND, "a picture goes to /predict");
    if (ending) refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the server is ending");
    if (length && strtoull(length, NULL, 10) > server->options.most_bytes + slack)
        refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "the picture has %.20s bytes; allowed here: %zu", length,
               server->options.most_bytes);
    read_topk(request, connection);
    if (!request->status && is_form(connection)) {
        request->form = MHD_create_post_processor(connection, FORM_BUFFER, on_form, request);
        if (!request->form) refuse(request, MHD_HTTP_BAD_REQUEST, "the form cannot be read: is its boundary missing?");
    }
    return request;
}

/* A refusal whose body need not be let pass first: the client waits to be asked for it, or it is far too long. Others
 * read their answer only once they have sent what they have. */
static bool is_refused_at_once(const Request *request) {
    const char *length =
        MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *expect = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    return request->status &&
           (expect || (length && strtoull(length, NULL, 10) / 4 > request->server->options.most_bytes));
}

static enum MHD_Result answer(Request *request) {
    char *text = request->answer;
    request->answer = NULL;
    return reply_json(request->server, request->connection, request->status, text);
}

/* The picture is complete. */
static enum MHD_Result submit(Request *request) {
    ServeServer *server = request->server;
    if (request->form && !request->has_file) refuse(request, MHD_HTTP_BAD_REQUEST, "the form has no file in it");
    if (request->size == 0)
        refuse(request, MHD_HTTP_BAD_REQUEST, "there is no picture in the request; send its file as the body");
    if (!request->status) {
        request->job.predictions = calloc((size_t)request->job.top, sizeof *request->job.predictions);
        if (!request->job.predictions) refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for the answer");
    }
    if (request->status) return answer(request);
    request->job.bytes = request->bytes;
    request->job.size = request->size;
    request->job.owner = request;
    set_computing(request, true);
    pthread_mutex_lock(&server->lock);
    const bool closed = server->closed;
    if (!closed) {
        MHD_suspend_connection(request->connection);
        serve_queue_add(server->queue, &request->job);
    }
    pthread_mutex_unlock(&server->lock);
    if (!closed) return MHD_YES;
    refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the server is ending");
    return answer(request);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *data_size, void **own) {
    ServeServer *server = context;
    (void)version;
    if (!*own) { /* the headers are there */
        const bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
        Request *made = NULL;
        *own = (void *)&seen;
        if (get) return MHD_YES;
        if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
            return reply_json(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                              error_text("a picture goes to /predict, by POST"));
        if (!(made = begin(server, connection, url))) return MHD_NO;
        *own = made;
        return is_refused_at_once(made) ? answer(made) : MHD_YES;
    }
    Request *request = *own == &seen ? NULL : *own;
    if (!request) {
        *data_size = 0;
        return answer_get(server, connection, url);
    }
    if (*data_size) {
        if (!request->form)
            append(request, data, *data_size);
        else if (!request->status && MHD_post_process(request->form, data, *data_size) != MHD_YES)
            refuse(request, MHD_HTTP_BAD_REQUEST, "the form cannot be read");
        *data_size = 0;
        return MHD_YES;
    }
    return request->status ? answer(request) : submit(request);
}

/* ---- a picture is done ---- */

static char *predictions_text(const ServeServer *server, const ServeJob *job) {
    json_t *object = json_object(), *topk = json_array();
    for (int i = 0; i < job->top; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "index", json_integer(job->predictions[i].index));
        json_object_set_new(row, "label", json_text(job->predictions[i].label));
        json_object_set_new(row, "score", json_rounded((double)job->predictions[i].probability, 7));
        json_array_append_new(topk, row);
    }
    json_object_set_new(object, "model", json_text(effnet_model_name(server->options.model)));
    json_object_set_new(object, "topk", topk);
    return json_to_text(object);
}

static void on_done(void *context, ServeJob *job) {
    ServeServer *server = context;
    Request *request = job->owner;
    if (job->error.status == EFFNET_OK) {
        request->status = MHD_HTTP_OK;
        request->answer = predictions_text(server, job);
    } else { /* a picture that is none is the client's fault, everything else ours */
        const bool theirs = job->error.status == EFFNET_ERROR_FORMAT || job->error.status == EFFNET_ERROR_ARGUMENT;
        refuse(request, theirs ? MHD_HTTP_UNPROCESSABLE_CONTENT : MHD_HTTP_INTERNAL_SERVER_ERROR, "%s",
               job->error.message);
    }
    serve_count_answer(&server->metrics, now() - request->began);
    set_computing(request, false);
    MHD_resume_connection(request->connection);
}

static void on_batch(void *context, int pictures, double seconds) {
    ServeServer *server = context;
    serve_count_batch(&server->metrics, pictures, seconds);
}

/* The answer was sent, or the client is gone. */
static void on_completed(void *context, struct MHD_Connection *connection, void **own,
                         enum MHD_RequestTerminationCode how) {
    ServeServer *server = context;
    Client *client = client_of(connection);
    (void)how;
    pthread_mutex_lock(&server->lock);
    if (client) client->since = now();
    Request *request = *own == &seen ? NULL : *own;
    if (request) {
        server->body_bytes -= request->capacity;
        server->requests--;
    }
    pthread_mutex_unlock(&server->lock);
    if (request) {
        if (request->form) MHD_destroy_post_processor(request->form);
        free(request->bytes);
        free(request->job.predictions);
        free(request->answer);
        free(request);
    }
    *own = NULL;
}

/* ---- start and end ---- */

static void free_server(ServeServer *server) {
    serve_queue_stop(server->queue);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

ServeServer *serve_start(const ServeOptions *options, char *problem, size_t size) {
    struct sockaddr_storage place;
    if (!serve_resolve(options->address, options->port, &place, problem, size)) return NULL;
    ServeServer *server = calloc(1, sizeof *server);
    if (!server) {
        snprintf(problem, size, "no memory for a server");
        return NULL;
    }
    server->options = *options;
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->metrics.lock, NULL);
    const ServeQueueOptions queue = {.model = options->model,
                                     .workers = options->workers,
                                     .batch = options->batch,
                                     .done = on_done,
                                     .ran = on_batch,
                                     .context = server};
    server->queue = serve_queue_start(&queue);
    if (!server->queue) {
        snprintf(problem, size, "%d workers cannot be started", options->workers);
        free_server(server);
        return NULL;
    }
    const unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                           (place.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    errno = 0;
    server->daemon = MHD_start_daemon(
        flags, (uint16_t)options->port, NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR, &place,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)options->connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)options->timeout, MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)BACKLOG, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
    if (server->daemon) return server;
    snprintf(problem, size, "cannot listen on %.80s, port %d: %s", options->address, options->port,
             errno ? strerror(errno) : "the server library refuses");
    free_server(server);
    return NULL;
}

int serve_port(const ServeServer *server) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : server->options.port;
}

static int requests_left(ServeServer *server) {
    pthread_mutex_lock(&server->lock);
    int left = server->requests;
    pthread_mutex_unlock(&server->lock);
    return left;
}

void serve_stop(ServeServer *server) {
    const struct timespec nap = {.tv_nsec = NAP};
    pthread_mutex_lock(&server->lock);
    server->ending = true;
    pthread_mutex_unlock(&server->lock);
    MHD_socket listening = MHD_quiesce_daemon(server->daemon);
    for (double until = now() + server->options.timeout; requests_left(server) > 0 && now() < until;) {
        nanosleep(&nap, NULL);
        serve_watch(server);
    }
    pthread_mutex_lock(&server->lock);
    server->closed = true;
    pthread_mutex_unlock(&server->lock);
    serve_queue_stop(server->queue); /* every picture that it had is done: no connection is suspended any more */
    server->queue = NULL;
    MHD_stop_daemon(server->daemon);
    if (listening != MHD_INVALID_SOCKET) close(listening);
    pthread_mutex_destroy(&server->metrics.lock);
    free_server(server);
}
