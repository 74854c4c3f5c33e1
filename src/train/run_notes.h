/* run_notes.h - what a run found while it was opened and its user ought to know: said once its progress function hears,
 * before the first step. Internal to train/. */
#ifndef EFFNET_TRAIN_RUN_NOTES_H
#define EFFNET_TRAIN_RUN_NOTES_H

enum { RUN_NOTES = 12, RUN_NOTE_BYTES = 700 };

typedef struct RunNotes {
    int count;
    char texts[RUN_NOTES][RUN_NOTE_BYTES];
} RunNotes;

/* One sentence; cut where it is too long, left out where there are RUN_NOTES already. */
void run_note(RunNotes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
