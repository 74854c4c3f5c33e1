# workers.sh - runs over several workers, read by `source` after harness.sh; skips where this build has no MPI.
#
# workers N COMMAND...: mpirun -n N, on however few processors, quietly, and with an end where a worker is killed.
# worker_pids OUT: the processes of `effnet train ... --out OUT --dist mpi`; mpirun is none.

[ -r "$build/libeffnet_mpi.so" ] || skip "built without MPI (Debian: libopenmpi-dev)"
command -v mpirun >/dev/null || skip "there is no mpirun (Debian: openmpi-bin)"
mpirun --version 2>/dev/null | grep 'Open MPI' >/dev/null || skip "mpirun is not Open MPI's, whose options are used here"

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=self,vader
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_odls_base_sigkill_timeout=2
workers() { local n=$1; shift; mpirun --oversubscribe -n "$n" "$@"; }
worker_pids() {
    local pid
    for pid in $(pgrep -f -- "effnet train .*--out $1 --dist" || true); do
        [ "$(readlink "/proc/$pid/exe")" != "$(realpath "$effnet")" ] || echo "$pid"
    done
}
