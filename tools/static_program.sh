#!/usr/bin/env bash
# static_program.sh - the program that runs models (predict, serve) as one file which needs no library and no loader, for a
# device or an empty container.
#
#   tools/static_program.sh [CC]
#
# CC is musl-gcc, the default (Debian: musl-tools), or gcc, for glibc. The libraries that read pictures, JSON and HTTP are
# built with it from Debian's sources, as apt verifies and dpkg-source patches them, into build-static/CC/libraries; then the program
# into build-static/CC/effnet. What is there already is not made again. Needs nasm for fast JPEGs.
set -euo pipefail
cd "$(dirname "$0")/.."
cc=${1:-musl-gcc}
missing=()
for tool in "$cc:musl-tools" nasm:nasm cmake:cmake ninja:ninja-build make:make dpkg-source:dpkg-dev pkg-config:pkg-config; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}")
done
[ ${#missing[@]} = 0 ] || { echo "static_program.sh: install first (Debian): ${missing[*]}" >&2; exit 1; }
folder=$PWD/build-static/$(basename "$cc") sources=$PWD/build-static/sources jobs=$(nproc)
prefix=$folder/libraries
mkdir -p "$prefix" "$sources"
exec 3>"$folder/log"
failed() { tail -n 20 "$folder/log" >&2; echo "static_program.sh: $*; the whole log: $folder/log" >&2; exit 1; }

packages=(zlib libjpeg-turbo libspng libwebp tiff giflib jansson utf8proc libmicrohttpd)
if [ ! -e "$sources/whole" ]; then # apt's own lists are left alone: these are beside them, of the same places
    apt=$sources/apt
    mkdir -p "$apt/lists/partial" "$apt/parts"
    sed -E 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/*.sources >"$apt/parts/all.sources" 2>&3 || true
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -nE 's/^deb /deb-src /p' >"$apt/all.list" || true
    get() { (cd "$sources" && apt-get -q -o Dir::State::lists="$apt/lists" -o Dir::Etc::sourcelist="$apt/all.list" \
        -o Dir::Etc::sourceparts="$apt/parts" "$@") >&3 2>&3; }
    get update || failed "apt-get cannot list sources"
    get source --download-only "${packages[@]}" || failed "apt-get cannot fetch sources"
    for package in "${packages[@]}"; do
        rm -rf "${sources:?}/$package"
        (cd "$sources" && dpkg-source --no-check -x "$(ls "$package"_*.dsc)" "$package") >&3 2>&3 || failed "cannot unpack $package"
    done
    touch "$sources/whole"
fi

# Nothing of what the system has for its own libraries.
export PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig PKG_CONFIG_PATH=
build() { # PACKAGE CMAKE-OPTION...
    local package=$1
    shift
    [ ! -e "$prefix/$package.done" ] || return 0
    echo "static_program.sh: $package"
    { cmake -S "$sources/$package" -B "$folder/$package" -G Ninja -DCMAKE_C_COMPILER="$cc" -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR="$prefix/lib" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_FIND_ROOT_PATH="$prefix" \
        -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=ONLY \
        -DBUILD_SHARED_LIBS=OFF "$@" && cmake --build "$folder/$package" && cmake --install "$folder/$package"; } >&3 2>&3 ||
        failed "cannot build $package"
    touch "$prefix/$package.done"
}
by() { # PACKAGE COMMANDS: in a folder of its own, by other means than CMake
    local package=$1
    [ ! -e "$prefix/$package.done" ] || return 0
    echo "static_program.sh: $package"
    mkdir -p "$folder/$package"
    (cd "$folder/$package" && set -e && eval "$2") >&3 2>&3 || failed "cannot build $package"
    touch "$prefix/$package.done"
}
by zlib 'cp -r "$sources/zlib/." . && CC=$cc ./configure --static --prefix="$prefix" && make -j "$jobs" install'
build libjpeg-turbo -DENABLE_SHARED=OFF -DWITH_TURBOJPEG=OFF -DREQUIRE_SIMD=ON
by libspng '"$cc" -O3 -I"$prefix/include" -c "$sources/libspng/spng/spng.c" && ar rcs "$prefix/lib/libspng.a" spng.o &&
    cp "$sources/libspng/spng/spng.h" "$prefix/include" &&
    printf "Name: spng\nDescription: PNG\nVersion: 0.7\nLibs: -L%s -lspng\nCflags: -I%s\n" "$prefix/lib" "$prefix/include" \
        >"$prefix/lib/pkgconfig/spng.pc"'
build libwebp -DWEBP_BUILD_{ANIM_UTILS,CWEBP,DWEBP,GIF2WEBP,IMG2WEBP,VWEBP,WEBPINFO,WEBPMUX,EXTRAS}=OFF
build tiff -Dtiff-{tools,tests,contrib,docs}=OFF -D{cxx,lzma,zstd,webp,jbig,lerc,libdeflate}=OFF
build jansson -DJANSSON_{BUILD_DOCS,WITHOUT_TESTS,EXAMPLES}=OFF
build utf8proc
by giflib 'cp -r "$sources/giflib/." . && make libgif.a CC="$cc" && cp libgif.a "$prefix/lib" && cp gif_lib.h "$prefix/include"'
by libmicrohttpd '"$sources/libmicrohttpd/configure" CC="$cc" --prefix="$prefix" --disable-shared --disable-https --disable-doc \
    --disable-examples --disable-tools && make -j "$jobs" && make install'

echo "static_program.sh: effnet"
{ cmake -S . -B "$folder/program" -G Ninja -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_FIND_ROOT_PATH="$prefix" \
    -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY -DEFFNET_INFERENCE_ONLY=ON -DEFFNET_STATIC=ON && cmake --build "$folder/program"; } >&3 2>&3 ||
    failed "cannot build effnet"
strip -o "$folder/effnet" "$folder/program/effnet"
if ldd "$folder/effnet" >/dev/null 2>&1; then failed "$folder/effnet is a dynamic executable"; fi
"$folder/effnet" version
echo "$folder/effnet: $(stat -c %s "$folder/effnet") bytes, static"
