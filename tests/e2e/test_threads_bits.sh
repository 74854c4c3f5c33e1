#!/usr/bin/env bash
# The number of engine threads and of loader threads changes nothing: 1, 2 and 3 give the same weights bit for bit.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion

for threads in 1 2 3; do
    run 0 "${train[@]}" --out "$work/$threads" --steps 4 --threads "$threads" --set workers="$threads"
done
same_checkpoint "$work/1/checkpoints/last" "$work/2/checkpoints/last"
same_checkpoint "$work/1/checkpoints/last" "$work/3/checkpoints/last"

# And a seed does change something, or the comparison above would mean nothing.
run 0 "${train[@]}" --out "$work/seed" --steps 4 --set seed=43
if cmp -s "$work/1/checkpoints/last/raw.safetensors" "$work/seed/checkpoints/last/raw.safetensors"; then
    die "seed 42 and 43 give the same weights"
fi
