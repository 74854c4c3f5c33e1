/* transport_load.h - finds and loads the module that carries bytes between workers. */
#ifndef EFFNET_DIST_TRANSPORT_LOAD_H
#define EFFNET_DIST_TRANSPORT_LOAD_H

#include "base/error.h"
#include "dist/transport.h"

/* kind: "mpi". The module is libeffnet_mpi.so: the file that EFFNET_MPI_MODULE names, or one beside the program or the
 * library, or in ../lib of the program, or where the system looks for libraries. It is never unloaded: MPI leaves
 * threads and handlers behind. */
effnet_status transport_load(const char *kind, Transport **out, effnet_error *err);

#endif
