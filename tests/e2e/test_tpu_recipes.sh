#!/usr/bin/env bash
# The TPU runs' recipes have eight replicas, and run so: a few steps at a small size, by one worker and by two, with the
# same bits. Skipped where no MPI is installed.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
source "$(dirname "$0")/workers.sh"
small_pictures "$work/pictures" ant bee

for recipe in "$source"/recipes/tpu-run*.yaml; do
    name=$(basename "$recipe" .yaml)
    grep -qE '^replicas: 8( |$)' "$recipe" || die "$name does not say replicas: 8"
    train=("$effnet" train "$recipe" --data "$work/pictures" --set resolution=32 --set batch_size=16
           --set num_classes=2 --set eval_batch_size=4 --set threads=1 --set workers=1 --steps 2 --no-report)
    run 0 "${train[@]}" --out "$work/$name"
    run 0 workers 2 "${train[@]}" --out "$work/$name-two" --dist mpi
    grep -q '^replicas: 8$' "$work/$name-two/recipe.yaml" || die "$name did not run with eight replicas"
    same_checkpoint "$work/$name/checkpoints/00000002" "$work/$name-two/checkpoints/00000002"
    echo "ok: $name"
done
