/* picture_list.h - the pictures that arguments of `effnet predict` stand for, one after the other as they come: files,
 * folders with all that is below them, @LIST files and standard input with one path a line. A list is
 * read as every text is (effnet_text_of_bytes); standard input line by line, so that a pipe is answered while it is written
 * to, unless it turns out to be UTF-16. */
#ifndef EFFNET_CLI_PICTURE_LIST_H
#define EFFNET_CLI_PICTURE_LIST_H

#include "effnet.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct PictureList PictureList;

typedef enum PictureListNext {
    PICTURE_NEXT,    /* a path */
    PICTURE_WAIT,    /* none yet: standard input has not been written to */
    PICTURE_TROUBLE, /* an argument, or a part of one, that cannot be read; `error` says why */
    PICTURE_END
} PictureListNext;

/* NULL where there is no memory. The arguments must last. */
PictureList *picture_list_open(char *const *arguments, int count);
/* `path` is the caller's, freed by free(). Waits for standard input only where `wait`. */
PictureListNext picture_list_next(PictureList *list, bool wait, char **path, effnet_error *error);
/* Files in folders that are no pictures by their name's ending, so far. */
int64_t picture_list_passed_over(const PictureList *list);
void picture_list_close(PictureList *list);

#endif
