/* balanced_order.h - an order of training pictures in which every class has as many places as every other (the recipe's
 * sampler: balanced): a pass has as many places as there are pictures, a rare class's stand several times in it, of a
 * frequent one some are left to later passes. A function of key and pass. Internal to data/. */
#ifndef EFFNET_DATA_FEED_BALANCED_ORDER_H
#define EFFNET_DATA_FEED_BALANCED_ORDER_H

#include "base/random.h"
#include "data/sources/dataset.h"

typedef struct BalancedOrder {
    uint32_t pictures, classes; /* of the classes those with pictures */
    uint32_t *by_class;         /* (pictures) class after class */
    uint32_t *starts;           /* (classes + 1) of each in by_class */
    uint32_t *drawn, *shuffled; /* (pictures) room to work in */
} BalancedOrder;

/* EFFNET_ERROR_UNSUPPORTED for a source that can only be read from front to back. Freed by balanced_order_release, after
 * an error too. */
effnet_status balanced_order_create(const Dataset *dataset, BalancedOrder *out, effnet_error *err);
void balanced_order_release(BalancedOrder *balanced);
/* order (pictures) of that pass. */
void balanced_order_draw(const BalancedOrder *balanced, RandomKey key, int64_t pass, uint32_t *order);

#endif
