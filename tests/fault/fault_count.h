/* fault_count.h - what a campaign of faults comes to: tried; lost, where something that was whole before can't be had
 * any more; silent, where what was damaged is taken for whole. Both must be 0. EFFNET_FAULTS=N in the environment tries
 * N times as many. */
#ifndef EFFNET_TESTS_FAULT_COUNT_H
#define EFFNET_TESTS_FAULT_COUNT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct FaultCount {
    const char *what;
    int tried, lost, silent;
} FaultCount;

static inline int fault_times(void) {
    const char *text = getenv("EFFNET_FAULTS");
    int times = text ? atoi(text) : 1;
    return times > 0 ? times : 1;
}

static inline bool fault_report(const FaultCount *count) {
    printf("fault | %-44s | tried %6d | lost %d | silent %d\n", count->what, count->tried, count->lost, count->silent);
    fflush(stdout);
    return count->tried > 0 && count->lost == 0 && count->silent == 0;
}

#endif
