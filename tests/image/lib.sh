# shellcheck shell=bash
# What build.sh, run.sh and the scripts in tests/image/cases share: where things are, and container storage of their
# own, so that nothing of the machine's is used or left changed. To be sourced; LOCKKEEPER_IMAGE_WORK is the directory
# that build.sh filled.

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

need_root() {
  [[ $(id -u) == 0 ]] || die "must be root: it makes roots, network namespaces and containers (sudo make test-all)"
}
need_programs() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || die "$program is missing: scripts/install-packages.sh test release image"
  done
}

# container_settings DIR [IMAGE_STORE [RUN]]: container storage and settings in DIR, exported; the images of IMAGE_STORE
# are seen too. What lives as long as a container is in RUN, which has to be short: the names of sockets are. runc and cgroupfs work where systemd is not the first process; the limits are below those of any machine.
container_settings() {
  local dir=$1 run=${3:-$1} driver=overlay
  mkdir -p "$dir"
  export CONTAINERS_STORAGE_CONF=$dir/storage.conf CONTAINERS_CONF=$dir/containers.conf BUILDAH_ISOLATION=chroot
  cat >"$CONTAINERS_CONF" <<CONF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$run/libpod"
CONF
  write_storage_conf "$driver" "$dir" "$run" "${2:-}"
  if ! buildah images >"$dir/probe.log" 2>&1; then # on a container's own file system, an overlay, there is no other
    driver=vfs
    write_storage_conf "$driver" "$dir" "$run" "${2:-}"
    buildah images >>"$dir/probe.log" 2>&1 || die "no container storage in $dir: $(cat "$dir/probe.log")"
  fi
}
write_storage_conf() {
  local driver=$1 dir=$2 run=$3 stores=''
  [[ -z ${4:-} ]] || stores="additionalimagestores = [\"$4\"]"
  cat >"$dir/storage.conf" <<CONF
[storage]
driver = "$driver"
graphroot = "$dir/graph"
runroot = "$run/run"
[storage.options]
$stores
CONF
}

# release_binary ARCH: the static binary that build.sh made.
release_binary() { printf '%s/release/lockkeeper-linux-%s\n' "$LOCKKEEPER_IMAGE_WORK" "$1"; }
