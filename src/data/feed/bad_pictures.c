/* bad_pictures.c - see bad_pictures.h. At most MESSAGES_KEPT messages wait to be taken; a data set that is bad from end
 * to end is counted in full all the same. */
#include "data/feed/bad_pictures.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES_KEPT = 64 };

struct BadPictures {
    pthread_mutex_t mutex;
    int64_t count;
    char *messages[MESSAGES_KEPT]; /* a ring */
    int first, waiting;
    atomic_uchar known[]; /* (pictures) 1 where bad */
};

effnet_status bad_pictures_create(int64_t pictures, BadPictures **out, effnet_error *err) {
    *out = NULL;
    BadPictures *bad = calloc(1, sizeof *bad + (size_t)pictures);
    if (!bad) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the state of %lld pictures", (long long)pictures);
    pthread_mutex_init(&bad->mutex, NULL);
    *out = bad;
    return EFFNET_OK;
}

void bad_pictures_free(BadPictures *bad) {
    if (!bad) return;
    for (int i = 0; i < bad->waiting; i++) free(bad->messages[(bad->first + i) % MESSAGES_KEPT]);
    pthread_mutex_destroy(&bad->mutex);
    free(bad);
}

bool bad_pictures_has(const BadPictures *bad, int64_t index) {
    return atomic_load_explicit(&bad->known[index], memory_order_relaxed);
}

void bad_pictures_add(BadPictures *bad, int64_t index, const char *message) {
    if (atomic_exchange_explicit(&bad->known[index], 1, memory_order_relaxed)) return;
    bad_pictures_note(bad, 1, message);
}

void bad_pictures_note(BadPictures *bad, int64_t count, const char *message) {
    pthread_mutex_lock(&bad->mutex);
    bad->count += count;
    char *copy = message && bad->waiting < MESSAGES_KEPT ? strdup(message) : NULL;
    if (copy) bad->messages[(bad->first + bad->waiting++) % MESSAGES_KEPT] = copy;
    pthread_mutex_unlock(&bad->mutex);
}

int64_t bad_pictures_count(BadPictures *bad) {
    pthread_mutex_lock(&bad->mutex);
    int64_t count = bad->count;
    pthread_mutex_unlock(&bad->mutex);
    return count;
}

bool bad_pictures_take(BadPictures *bad, char *buffer, size_t size) {
    pthread_mutex_lock(&bad->mutex);
    bool any = bad->waiting > 0;
    if (any) {
        char *message = bad->messages[bad->first];
        snprintf(buffer, size, "%s", message);
        free(message);
        bad->first = (bad->first + 1) % MESSAGES_KEPT;
        bad->waiting--;
    }
    pthread_mutex_unlock(&bad->mutex);
    return any;
}
