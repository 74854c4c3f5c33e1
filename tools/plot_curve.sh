#!/usr/bin/env bash
# plot_curve.sh - learning curves of one or several runs as a picture: loss on the left, top-1 on the right.
#
#   tools/plot_curve.sh [-o OUT.png|OUT.svg] [-t TITLE] [NAME=]LOG.jsonl...
#
# LOG.jsonl is what `effnet train` writes (runs/NAME/log.jsonl; the folder will do); lines of other programs with at least `epoch` and
# some of `loss`, `top1`, `ema_top1` (per cent) do as well. A curve is called NAME, or by its run folder. OUT defaults
# to curve.png beside the first log. Where a run has not been evaluated yet, the length of its epochs isn't known: then all
# curves go over steps, and without any evaluation the right half is left out. Needs gnuplot.
set -euo pipefail

usage() { echo "usage: tools/plot_curve.sh [-o OUT.png|OUT.svg] [-t TITLE] [NAME=]LOG.jsonl..." >&2; exit 2; }
out= title=
while getopts o:t: option; do
    case $option in
        o) out=$OPTARG ;;
        t) title=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage
command -v gnuplot >/dev/null || { echo "plot_curve.sh: gnuplot is not installed (Debian: gnuplot-nox)" >&2; exit 1; }

# Flat JSON objects, one a line, to columns: epoch as a fraction, loss, top1, ema_top1; NaN where a line has none.
# Steps become fractions of an epoch by the steps of the first line that ends an epoch (it has a top1); with
# $unit step they stay what they are.
columns() {
    awk -v unit="$unit" '
        function value(key,   place) {
            if (!match($0, "\"" key "\"[ ]*:[ ]*-?[0-9.][-+0-9.eE]*")) return "NaN"
            place = substr($0, RSTART, RLENGTH); sub(/^[^:]*:[ ]*/, "", place)
            return place
        }
        { epoch[NR] = value("epoch"); step[NR] = value("step"); loss[NR] = value("loss")
          top1[NR] = value("top1"); ema[NR] = value("ema_top1")
          ended = top1[NR] != "NaN" || ema[NR] != "NaN"
          mean[NR] = ended # its loss is the mean over the epoch: a curve of steps leaves it out
          if (!ended && loss[NR] != "NaN") steps = 1
          if (ended && !per_epoch && step[NR] != "NaN" && epoch[NR] > 0) per_epoch = step[NR] / epoch[NR] }
        END { for (i = 1; i <= NR; i++)
                  if (epoch[i] != "NaN")
                      print (unit == "step" && step[i] != "NaN" ? step[i] : per_epoch && step[i] != "NaN" ? step[i] / per_epoch : epoch[i]),
                            (steps && mean[i] ? "NaN" : loss[i]), top1[i], ema[i] }
    ' <"$1" # not as a word of awk's, to which a name with '=' is no file
}

# A single loss is a point: a line through it would show nothing.
lines() { awk '$2 != "NaN" { n++ } END { print (n > 1 ? "lines" : "points pt 7") }' "$1"; }

# $log and $name (or nothing) of an argument: LOG, NAME=LOG, either a run folder
take() {
    name= log=$1
    if [ ! -e "$log" ]; then name=${1%%=*} log=${1#*=}; fi
    [ ! -d "$log" ] || log=$log/log.jsonl
    [ -f "$log" ] && [ -r "$log" ] || { echo "plot_curve.sh: cannot read '$log'; give a run's log.jsonl or its folder" >&2; exit 1; }
}

unit=epoch evaluated=0 learnt=0
for argument in "$@"; do
    take "$argument"
    if grep -qE '"(ema_)?top1"' -- "$log" 2>/dev/null; then
        evaluated=1
    elif grep -q '"step"' -- "$log" 2>/dev/null; then
        unit=step
    fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
losses= accuracies= number=0
for argument in "$@"; do
    take "$argument"
    [ -n "$name" ] || name=$(basename -- "$(dirname -- "$(realpath -- "$log")")")
    number=$((number + 1))
    columns "$log" >"$folder/$number"
    awk '$2 != "NaN" || $3 != "NaN" || $4 != "NaN" { n++ } END { exit !n }' "$folder/$number" || { echo "plot_curve.sh: '$log' has no line with an epoch and a loss or top1" >&2; exit 1; }
    [ -n "$out" ] || out=$(dirname -- "$log")/curve.png
    ! awk '$2 != "NaN" { n++ } END { exit !n }' "$folder/$number" || learnt=1
    name=$(tr -d '"\\' <<<"$name")
    data="\"$folder/$number\""
    losses+="${losses:+, }$data using 1:2 with $(lines "$folder/$number") lw 2 lc $number title \"$name\""
    accuracies+="${accuracies:+, }$data using 1:4 with linespoints lw 2 pt 7 ps 0.6 lc $number title \"$name, averaged weights\""
    accuracies+=", $data using 1:3 with linespoints lw 1.5 dt 2 pt 6 ps 0.6 lc $number title \"$name, raw weights\""
done

case $out in
    *.svg) terminal='svg size 1000,420 font "sans,12" background "white"' ;;
    *.png) terminal='pngcairo size 1000,420 font "sans,10"' ;;
    *) echo "plot_curve.sh: '$out' must end in .png or .svg" >&2; exit 2 ;;
esac
# Drawn beside and moved: gnuplot that cannot open its output draws into the terminal and calls that success.
drawn=$folder/drawn
gnuplot <<PLOT
set terminal $terminal
set output "$drawn"
set datafile missing "NaN"
set linetype 1 lc rgb "#1f5fa8"; set linetype 2 lc rgb "#d1661a"; set linetype 3 lc rgb "#2d8a4e"; set linetype 4 lc rgb "#8a3fa0"
set border 3 lc rgb "#555555"; set tics nomirror; set grid y lc rgb "#dddddd" lt 1
set multiplot layout 1,$((evaluated + learnt)) title "${title//[\"\\]/}" noenhanced
set xlabel "$unit"; set xrange [0:*]; set key noenhanced samplen 2 spacing 1.1
$([ $learnt = 0 ] || printf '%s\n' 'set ylabel "training loss"; set key top right' "plot $losses")
$([ $evaluated = 0 ] || printf '%s\n' 'set ylabel "top-1, %"; set key bottom right; set yrange [*:100]' "plot $accuracies")
unset multiplot
PLOT
cp -- "$drawn" "$out" || { echo "plot_curve.sh: cannot write '$out'" >&2; exit 1; }
echo "plot_curve.sh: $out"
