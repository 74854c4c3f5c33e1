/* label_sets.c - see label_sets.h. */
#include "data/sources/label_sets.h"

#include <stdlib.h>
#include <string.h>

static effnet_status no_memory(effnet_error *err) {
    return fail(err, EFFNET_ERROR_MEMORY, "no memory for the labels of a table's pictures");
}

effnet_status label_sets_add(LabelSets *sets, const int32_t *labels, int count, effnet_error *err) {
    if (sets->pictures == sets->picture_room) {
        int64_t room = sets->picture_room ? 2 * sets->picture_room : 1024;
        int64_t *grown = realloc(sets->begins, (size_t)room * sizeof *grown);
        if (!grown) return no_memory(err);
        sets->begins = grown;
        sets->picture_room = room;
    }
    while (sets->used + count > sets->label_room) {
        int64_t room = sets->label_room ? 2 * sets->label_room : 4096;
        int32_t *grown = realloc(sets->labels, (size_t)room * sizeof *grown);
        if (!grown) return no_memory(err);
        sets->labels = grown;
        sets->label_room = room;
    }
    sets->begins[sets->pictures++] = sets->used;
    if (count) memcpy(sets->labels + sets->used, labels, (size_t)count * sizeof *labels);
    sets->used += count;
    return EFFNET_OK;
}

int label_sets_of(const LabelSets *sets, int64_t picture, const int32_t **labels) {
    const int64_t end = picture + 1 < sets->pictures ? sets->begins[picture + 1] : sets->used;
    *labels = sets->labels ? sets->labels + sets->begins[picture] : NULL; /* none of any picture */
    return (int)(end - sets->begins[picture]);
}

void label_sets_renumber(LabelSets *sets, const int *map) {
    for (int64_t i = 0; i < sets->used; i++) sets->labels[i] = map[sets->labels[i]];
}

void label_sets_free(LabelSets *sets) {
    free(sets->labels);
    free(sets->begins);
    *sets = (LabelSets){0};
}
