#!/usr/bin/env bash
# prove_bare_root.sh - run one of the README's commands on a Debian 12 that has nothing but a shell, git and root.
#
#   tools/prove_bare_root.sh [-k] ROOT_FOLDER COMMAND...        e.g. tools/prove_bare_root.sh /tmp/bare tools/demo.sh
#
# Makes the root by `debootstrap --variant=minbase` with Debian's archive as this machine reaches it (the first time;
# kept as ROOT_FOLDER.tar for the next), installs git, clones this repository's committed HEAD into /root/effnet there
# and runs COMMAND in the clone, without a terminal or standard input. Needs root and debootstrap.
#
# Nothing leaks: the command runs in mount, process and IPC namespaces of its own with /proc, /dev and a /tmp that end
# with it, an empty environment and no folder of this machine. The root is deleted afterwards unless -k is given.
set -euo pipefail

keep=no
if [ "${1:-}" = -k ]; then
    keep=yes
    shift
fi
if [ $# -lt 2 ]; then
    echo "usage: tools/prove_bare_root.sh [-k] ROOT_FOLDER COMMAND..." >&2
    exit 2
fi
[ "$(id -u)" = 0 ] || { echo "prove_bare_root.sh: must be run as root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "prove_bare_root.sh: install debootstrap first" >&2; exit 1; }
root=$(realpath -m "$1")
shift
source=$(realpath "$(dirname "$0")/..")
[ ! -e "$root" ] || { echo "prove_bare_root.sh: '$root' exists; name a folder that does not" >&2; exit 1; }

say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

# Runs its arguments inside the root; everything mounted and every process started ends with it.
inside() {
    unshare --mount --pid --ipc --fork --kill-child -- bash -euc '
        root=$1; shift
        mount --make-rprivate /
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
        for node in null zero full random urandom tty; do
            touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"
        done
        ln -s /proc/self/fd "$root/dev/fd"
        ln -s /proc/self/fd/0 "$root/dev/stdin"
        ln -s /proc/self/fd/1 "$root/dev/stdout"
        ln -s /proc/self/fd/2 "$root/dev/stderr"
        mkdir "$root/dev/shm"; mount -t tmpfs tmpfs "$root/dev/shm"
        mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
        exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
    ' inside "$root" "$@" </dev/null
}

if [ ! -e "$root.tar" ]; then
    say "a bare root by debootstrap"
    # Debian's archive as apt knows it here; empty: debootstrap's own default.
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 2>/dev/null | awk '$2 == "bookworm" { print $1; exit }')
    mkdir -p "$root"
    debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 ||
        { tail "$root.log" >&2; exit 1; }
    rm -f "$root.log"
    tar -C "$root" -cf "$root.tar.part" .
    mv "$root.tar.part" "$root.tar"
else
    say "the bare root kept in $root.tar"
    mkdir -p "$root"
    tar -C "$root" -xf "$root.tar"
fi
[ "$keep" = yes ] || trap 'rm -rf --one-file-system "$root"' EXIT

# How this machine reaches Debian's archive (its sources and apt settings), and names: read now, kept in the root only.
rm -f "$root"/etc/apt/sources.list
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
for part in sources.list sources.list.d apt.conf apt.conf.d trusted.gpg.d; do
    [ ! -e "/etc/apt/$part" ] || cp -rL "/etc/apt/$part" "$root/etc/apt/"
done

say "git, and a clone of $(git -C "$source" rev-parse --short HEAD)"
inside env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get -qq update && apt-get -qq install --no-install-recommends git' \
    >"$root/root/git.log" 2>&1 || { tail "$root/root/git.log" >&2; exit 1; }
git -C "$source" bundle create -q "$root/root/effnet.bundle" HEAD
inside git -c advice.detachedHead=false clone -q /root/effnet.bundle /root/effnet

say "\$ $*"
before=$SECONDS
status=0
inside bash -c 'cd /root/effnet && "$@"' command "$@" || status=$?
say "exit status $status, $((SECONDS - before)) s"
exit "$status"
