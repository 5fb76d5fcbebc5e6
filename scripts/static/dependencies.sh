#!/usr/bin/env bash
# dependencies.sh ARCH PREFIX: builds the static libraries that Debian does not have, for amd64 or arm64, into PREFIX.
# In a Debian 13 root that packages.sh ARCH prepared. About two minutes of CPU.
#
# What and why not Debian's:
#   libpq            libpq.a wants GSSAPI and LDAP, and there is no static GSSAPI
#   libcurl          libcurl.a wants GSSAPI too; this one speaks HTTP and HTTPS only
#   prometheus-cpp   no .a
#   libpg_query      Debian's .a, with other names inside (see below)
# All are Debian's sources, which apt verifies. PREFIX/versions.txt says which, PREFIX/licenses has their licences.
#
# The result does not depend on where PREFIX is, on the time, or on the path of the build.
set -euo pipefail

die() {
  printf 'dependencies.sh: %s\n' "$*" >&2
  exit 1
}

(($# == 2)) || die "usage: dependencies.sh amd64|arm64 PREFIX"
case $1 in
  amd64) triplet=x86_64-linux-gnu ;;
  arm64) triplet=aarch64-linux-gnu ;;
  *) die "$1: not amd64 or arm64" ;;
esac
command -v "$triplet-g++" >/dev/null || die "$triplet-g++ is missing: scripts/static/packages.sh $1"
mkdir -p "$2"
prefix=$(cd "$2" && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jobs=$(nproc)
mkdir -p "$prefix/lib" "$prefix/include" "$prefix/licenses"
: >"$prefix/versions.txt"

# Sections for each function, so that the linker can drop what is not used.
flags="-O2 -fPIE -ffunction-sections -fdata-sections -ffile-prefix-map=$work=."
cmake_options=(
  -G Ninja -Wno-dev -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags"
  -DCMAKE_C_FLAGS_RELEASE= -DCMAKE_CXX_FLAGS_RELEASE= -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib
  -DBUILD_SHARED_LIBS=OFF -DCMAKE_C_COMPILER="$triplet-gcc" -DCMAKE_CXX_COMPILER="$triplet-g++"
)
if [[ $1 != "$(dpkg --print-architecture)" ]]; then
  cmake_options+=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="${triplet%%-*}")
fi

# run NAME COMMAND...: with the output in a log that is shown only when it fails.
run() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 || {
    tail -n 40 "$work/$name.log" >&2
    die "$name failed: $*"
  }
}

# Older versions, for source_package, with the SHA-256 of their .dsc files, which name all others with theirs.
known_sources=(
  'postgresql-17 17.11-0+deb13u1 bf148ae423a982707c3f60672c3a072ef62b701bd9f5df847d9f4b8c9b3e3b18'
  'postgresql-17 17.10-0+deb13u1 5bc74b90b27b78101b93d04645fc5db8671713ae88b4836decacc7204464b708'
)

# fetch_known NAME VERSION SHA256: what apt-get source does, for a version that apt does not know (any more), from
# whichever of its mirrors has all files.
fetch_known() {
  local dsc=$1_$2.dsc mirror hash file
  # shellcheck disable=SC2016 # apt replaces it
  for mirror in $(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Sources' | sort -u); do
    mirror=${mirror%/}/pool/main/${1:0:1}/$1
    /usr/lib/apt/apt-helper download-file "$mirror/$dsc" "$dsc" "SHA256:$3" || continue
    while read -r hash file; do
      /usr/lib/apt/apt-helper download-file "$mirror/$file" "$file" "SHA256:$hash" </dev/null || continue 2
    done < <(awk '/^[^ ]/ {wanted = /^Checksums-Sha256:/} wanted && NF == 3 {print $1, $3}' "$dsc")
    dpkg-source --no-check --extract "$dsc" && return
  done
  return 1
}

# source_package NAME: unpacks a source package to $work/NAME. A mirror may lack the files of the newest version for a
# while: then another version that apt knows; a version's tarball without Debian's patches; or, because after a point
# release apt knows the newest version only, one of known_sources.
source_package() {
  local name=$1 versions ways=() way how version sha256 upstream log=$work/fetch-$1.log
  mapfile -t versions < <(apt-cache madison "$name" | awk '$NF == "Sources" {print $3}' | sort -Vru)
  ((${#versions[@]} > 0)) || die "apt knows no source package $name: scripts/static/packages.sh $1"
  ways=("${versions[@]/#/patched }" "${versions[@]/#/tarball }")
  for way in "${known_sources[@]}"; do
    [[ ${way%% *} != "$name" ]] || ways+=("known ${way#* }")
  done
  for way in "${ways[@]}"; do
    read -r how version sha256 <<<"$way"
    rm -rf "$work/fetch-$name"
    mkdir "$work/fetch-$name"
    cd "$work/fetch-$name"
    case $how in
      patched) apt-get -qq source "$name=$version" ;;
      tarball) apt-get -qq source --tar-only "$name=$version" && tar -xf "${name}"_*.orig.tar.*[!c] ;;
      known) fetch_known "$name" "$version" "$sha256" ;;
    esac >"$log" 2>&1 || continue
    mv "$(find . -mindepth 1 -maxdepth 1 -type d)" "$work/$name"
    upstream=${version#*:}
    upstream=${upstream%-*}
    printf '%s %s %s\n' "$name" "$version" "$upstream" >>"$prefix/versions.txt"
    case $how in
      patched) how="with Debian's patches" ;;
      tarball) how="without Debian's patches" ;;
      known) how="with Debian's patches; apt's own version, ${versions[0]}, cannot be fetched" ;;
    esac
    echo "dependencies.sh: $name $version, $how"
    cd "$work"
    return
  done
  die "no version of the source package $name can be fetched: $(tail -n 3 "$log")"
}

build_libpq() {
  local source=$work/postgresql-17
  source_package postgresql-17
  mkdir "$work/libpq"
  cd "$work/libpq"
  # prefix and sysconfdir are only where libpq looks for pg_service.conf; Debian's libpq looks there too.
  run libpq-configure "$source/configure" --prefix=/usr --sysconfdir=/etc/postgresql-common \
    --build="$(dpkg-architecture -qDEB_BUILD_GNU_TYPE 2>/dev/null)" --host="$triplet" \
    --with-ssl=openssl --without-gssapi --without-ldap --without-pam --without-systemd --without-readline \
    --without-zlib --without-icu --without-libxml --without-llvm --without-lz4 --without-zstd --disable-nls \
    CC="$triplet-gcc" AR="$triplet-ar" CFLAGS="$flags"
  run libpq-include make -s -C src/include
  run libpq-headers make -s -C src/backend generated-headers
  run libpq-port make -s -j "$jobs" -C src/port
  run libpq-common make -s -j "$jobs" -C src/common
  run libpq make -s -j "$jobs" -C src/interfaces/libpq all-static-lib
  install -m 644 "$source"/src/interfaces/libpq/libpq-{fe,events}.h "$source/src/include/postgres_ext.h" \
    src/include/pg_config.h src/include/pg_config_ext.h "$prefix/include/"
  install -m 644 "$source/COPYRIGHT" "$prefix/licenses/postgresql"

  # libpq has its helpers in two more archives, whose names (pg_*, base64 and so on) anybody may use. One archive, in
  # which only the functions of the library can be seen from outside.
  awk '!/^#/ && NF {print $1}' "$source/src/interfaces/libpq/exports.txt" >"$work/libpq.symbols"
  "$triplet-ld" -r -o "$work/libpq.o" --whole-archive src/interfaces/libpq/libpq.a \
    --no-whole-archive src/common/libpgcommon_shlib.a src/port/libpgport_shlib.a
  "$triplet-objcopy" --keep-global-symbols="$work/libpq.symbols" "$work/libpq.o"
  rm -f "$prefix/lib/libpq_isolated.a"
  "$triplet-ar" rcsD "$prefix/lib/libpq_isolated.a" "$work/libpq.o"
}

build_curl() {
  source_package curl
  # Only what observe/http.cpp needs: one request over HTTP or HTTPS, proxies, basic and bearer authentication.
  run curl-configure cmake "${cmake_options[@]}" -S "$work/curl" -B "$work/curl-build" \
    -DBUILD_STATIC_LIBS=ON -DBUILD_CURL_EXE=OFF -DBUILD_TESTING=OFF -DBUILD_EXAMPLES=OFF -DHTTP_ONLY=ON \
    -DCURL_USE_OPENSSL=ON -DCURL_DISABLE_ALTSVC=ON -DCURL_DISABLE_AWS=ON -DCURL_DISABLE_COOKIES=ON \
    -DCURL_DISABLE_DIGEST_AUTH=ON -DCURL_DISABLE_DOH=ON -DCURL_DISABLE_FORM_API=ON -DCURL_DISABLE_HSTS=ON \
    -DCURL_DISABLE_KERBEROS_AUTH=ON -DCURL_DISABLE_LIBCURL_OPTION=ON -DCURL_DISABLE_MIME=ON \
    -DCURL_DISABLE_NEGOTIATE_AUTH=ON -DCURL_DISABLE_NETRC=ON -DCURL_DISABLE_NTLM=ON -DCURL_DISABLE_WEBSOCKETS=ON \
    -DCURL_USE_GSSAPI=OFF -DCURL_USE_LIBPSL=OFF -DCURL_USE_LIBSSH2=OFF -DUSE_LIBIDN2=OFF -DUSE_LIBRTMP=OFF \
    -DUSE_NGHTTP2=OFF -DCURL_BROTLI=OFF -DCURL_ZLIB=OFF -DCURL_ZSTD=OFF -DENABLE_CURL_MANUAL=OFF \
    -DBUILD_LIBCURL_DOCS=OFF -DBUILD_MISC_DOCS=OFF -DENABLE_UNIX_SOCKETS=OFF -DENABLE_THREADED_RESOLVER=ON \
    -DCURL_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt -DCURL_CA_PATH=/etc/ssl/certs
  run curl cmake --build "$work/curl-build" -j "$jobs"
  run curl-install cmake --install "$work/curl-build"
  install -m 644 "$work/curl/COPYING" "$prefix/licenses/curl"
}

build_prometheus_cpp() {
  source_package prometheus-cpp
  # Its default is C++11, where std::atomic<double> is another type than in our C++20.
  run prometheus-cpp-configure cmake "${cmake_options[@]}" -S "$work/prometheus-cpp" -B "$work/prometheus-cpp-build" \
    -DCMAKE_CXX_STANDARD=20 -DOVERRIDE_CXX_STANDARD_FLAGS=OFF -DENABLE_PULL=OFF -DENABLE_PUSH=OFF \
    -DENABLE_COMPRESSION=OFF -DENABLE_TESTING=OFF -DUSE_THIRDPARTY_LIBRARIES=OFF -DGENERATE_PKGCONFIG=ON
  run prometheus-cpp cmake --build "$work/prometheus-cpp-build" -j "$jobs"
  run prometheus-cpp-install cmake --install "$work/prometheus-cpp-build"
  install -m 644 "$work/prometheus-cpp/LICENSE" "$prefix/licenses/prometheus-cpp"
}

# libpg_query is a part of the PostgreSQL server with the server's names, some of which libpq and others have as well.
# All of them get a prefix of their own, in a copy of Debian's archive; it stays an archive of many members, so that the
# linker takes only those that it needs.
rename_pg_query() {
  local archive
  archive=$("$triplet-gcc" -print-file-name=libpg_query.a)
  [[ -f $archive ]] || die "libpg_query.a is missing: scripts/static/packages.sh"
  "$triplet-nm" --defined-only --extern-only --format=just-symbols "$archive" 2>/dev/null |
    grep -v -e ':$' -e '^$' -e '^pg_query_' | sort -u | sed 's/.*/& lk_pg_query_&/' >"$work/pg_query.symbols"
  rm -f "$prefix/lib/libpg_query_isolated.a"
  "$triplet-objcopy" --enable-deterministic-archives --redefine-syms="$work/pg_query.symbols" "$archive" \
    "$prefix/lib/libpg_query_isolated.a"
  realpath "$archive" >"$prefix/lib/libpg_query_isolated.a.origin" # for the SBOM
}

build_libpq
build_curl
build_prometheus_cpp
rename_pg_query
