#!/usr/bin/env bash
# test.sh - every test there is, from a bare Debian 12, in one command.
#
#   tools/test.sh
#
# Installs what is missing (as root, or with sudo), then:
#   checks       which room includes which, clang-format, links of the documentation, shell syntax
#   gcc          release build with -Werror, every test, those of the whole program (label e2e) included
#   clang        release with -Werror: everything compiled, tests of numbers that a compiler may compute otherwise (compiler)
#   asan         AddressSanitizer and UndefinedBehaviorSanitizer: every test but slow, e2e and long comparisons of numbers
#   tsan         ThreadSanitizer: the thread team, a model run by many threads, the loader, every source under it, packing and checking
#   fuzz         libFuzzer with clang and sanitizers: every parser of ours, FUZZ_SECONDS (60) of a processor in all
# Each build has its own folder (build, build-clang, build-asan, build-tsan, build-fuzz). Goes on after a failure, shows what
# failed, and ends with one line "N passed, N failed, N skipped" over all of it; exit status 1 if anything failed.
set -uo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
passed=0 failed=0 skipped=0
failures=()
started=$SECONDS
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

step() { printf '\n== %s (%s s)\n' "$*" $((SECONDS - started)); }

# check NAME COMMAND...: one case; exit status 77 means skipped.
check() {
    local name=$1 status=0
    shift
    "$@" >"$scratch/output" 2>&1 || status=$?
    case $status in
        0) passed=$((passed + 1)); echo "passed   $name" ;;
        77) skipped=$((skipped + 1)); echo "skipped  $name: $(tail -n 1 "$scratch/output")" ;;
        *)
            failed=$((failed + 1)); failures+=("$name"); echo "FAILED   $name"
            grep -E 'error:|^FAILED' "$scratch/output" | head -n 20 # a build goes on after its first error
            tail -n 30 "$scratch/output"
            ;;
    esac
    return $status
}

# tests PRESET CTEST-OPTIONS...: runs them and adds up ctest's own count, which it writes as the head of a JUnit file.
tests() {
    local name=$1 folder=$2 junit="$scratch/$1.xml" count bad skip
    shift 2
    ctest --test-dir "$folder" -j "$jobs" --output-on-failure --output-junit "$junit" "$@" >"$scratch/output" 2>&1 </dev/null
    grep -E '^ *[0-9]+/[0-9]+ Test .*\*\*\*|^Total Test time|^100% tests' "$scratch/output"
    sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .* ([0-9.]+) sec.*/\2 s \1/p' "$scratch/output" | sort -rn | head -n 8 |
        paste -sd, | sed 's/^/slowest: /; s/,/, /g'
    count=$(junit_number tests "$junit") bad=$(junit_number failures "$junit") skip=$(junit_number skipped "$junit")
    if [ "${count:-0}" = 0 ]; then
        failed=$((failed + 1)) failures+=("$name: no tests ran")
        tail -n 20 "$scratch/output"
        return
    fi
    passed=$((passed + count - bad - skip)) failed=$((failed + bad)) skipped=$((skipped + skip))
    if [ "$bad" != 0 ]; then
        failures+=("$name: $bad of $count tests")
        sed -n '/^The following tests FAILED/,$p' "$scratch/output"
        awk '/Test *#.*\*\*\*(Failed|Timeout|Exception)|\*\*\*Failed|\*\*\*Timeout|\*\*\*Exception/ { show = 40 }
             /Start +[0-9]+:/ { next } show-- > 0' "$scratch/output"
    fi
}
junit_number() { sed -nE "/<testsuite /,/>/s/.*[[:space:]]$1=\"([0-9]+)\".*/\1/p" "$2" 2>/dev/null | head -n 1; }

build() { cmake --preset "$1" >"$scratch/configure" 2>&1 || { cat "$scratch/configure"; return 1; }; cmake --build --preset "$1" -- -k 0 "${@:2}"; }

step "packages"
tools/setup.sh test || exit 1

step "checks"
check "arrows between the rooms" tools/check_includes.sh
check "clang-format" tools/check_format.sh
check "links of the documentation" tools/check_links.sh
check "shell scripts parse" bash -c 'for f in $(git ls-files '*.sh') .ci/run; do bash -n "$f" || exit 1; done'

step "gcc, release"
check "gcc builds without a warning" build release all effnet_libraries && tests gcc build

step "clang, release"
# Every unit, the program, and of the tests those that are run.
build_clang() {
    build release-clang effnet tests_of_compiler &&
        cmake --build --preset release-clang -- -k 0 $(ninja -C build-clang -t targets all | sed -nE 's/^([^:]*\.c\.o): C_COMPILER.*/\1/p')
}
check "clang builds without a warning" build_clang && tests clang build-clang -L compiler -LE slow

step "AddressSanitizer and UndefinedBehaviorSanitizer"
check "the asan build" build asan && tests asan build-asan -LE 'e2e|slow|numbers'

step "ThreadSanitizer: thread team, loader, sources, packing"
tsan=(test_threads test_shared_model test_loader test_loader_damage test_sources_agree test_effpack test_data_check)
check "the tsan build" build tsan "${tsan[@]}" &&
    tests tsan build-tsan -R "^($(IFS='|'; echo "${tsan[*]}"))\$"

# fuzz TARGET: from the seed corpus on, into a corpus that is kept from one run to the next beside the build.
fuzz() {
    mkdir -p "build-fuzz/corpus/$1"
    "build-fuzz/tests/fuzz_$1" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="build-fuzz/$1-" \
        "build-fuzz/corpus/$1" "tests/fuzz/corpus/$1" >"$scratch/fuzz-$1" 2>&1
    echo $? >"$scratch/fuzz-$1.status"
}
# What a target that has run wrote; its exit status. One that left none did not run to its end.
fuzzed() { cat "$scratch/fuzz-$1" && return "$(cat "$scratch/fuzz-$1.status")"; }

step "libFuzzer: every parser"
targets=(tests/fuzz/fuzz_*.c)
targets=("${targets[@]##*/fuzz_}")
targets=("${targets[@]%.c}")
if check "the fuzz build" build fuzz "${targets[@]/#/fuzz_}"; then
    fuzz_seconds=$(((${FUZZ_SECONDS:-60} + ${#targets[@]} - 1) / ${#targets[@]}))
    export -f fuzz
    export scratch fuzz_seconds
    printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'fuzz {}'
    for target in "${targets[@]}"; do check "a while of any bytes: $target" fuzzed "$target"; done
fi

step "done"
for failure in "${failures[@]}"; do echo "FAILED: $failure"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
