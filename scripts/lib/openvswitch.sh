#!/usr/bin/env bash
# Builds libopenvswitch.a from Debian's openvswitch-source package, once per machine.
#
# Usage: scripts/lib/openvswitch.sh   prints the folder that holds src/ and build/.
# The cache lies outside the tree, keyed by the package's version and by this recipe, so that a new
# OVS or a changed recipe never meets an old library. Nothing of OVS is copied into the repository.
set -euo pipefail

tarball=/usr/src/openvswitch/openvswitch.tar.gz
cflags=${DYNCAST_OVS_CFLAGS:--O2 -g0}
cc=${DYNCAST_OVS_CC:-gcc}

[ -r "$tarball" ] || {
  echo "openvswitch.sh: $tarball is missing: install the package openvswitch-source (scripts/setup does)" >&2
  exit 1
}
version=$(dpkg-query -W -f '${Version}' openvswitch-source)
recipe=$(sha256sum <(cat "${BASH_SOURCE[0]}"; echo "$cc $cflags") | cut -c1-12)
root=${DYNCAST_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dyncast}
dir=$root/openvswitch-${version//[^A-Za-z0-9.+-]/_}-$recipe

mkdir -p "$root"
exec 9>"$dir.lock"
flock 9
if [ ! -e "$dir/done" ]; then
  rm -rf "$dir"
  mkdir -p "$dir/build"
  log=$dir/build.log
  echo "building libopenvswitch $version (once per machine, 2-4 minutes; log: $log)" >&2
  {
    # tar keeps the time stamps: with newer ones automake would want to run again, and it is not here.
    tar -xzf "$tarball" -C "$dir"
    mv "$dir/openvswitch" "$dir/src"
    cd "$dir/build"
    ../src/configure --disable-shared --enable-static --with-pic --disable-afxdp \
      --disable-libcapng --prefix=/usr --localstatedir=/var --sysconfdir=/etc \
      --with-rundir=/var/run/openvswitch CC="$cc" CFLAGS="$cflags"
    # The generated headers first: the library's rules do not wait for them in a parallel build.
    make -j"$(nproc)" include/odp-netlink.h include/odp-netlink-macros.h lib/vswitch-idl.h \
      lib/ovsdb-server-idl.h
    make -j"$(nproc)" lib/libopenvswitch.la
    test -s lib/.libs/libopenvswitch.a
  } >"$log" 2>&1 || { echo "openvswitch.sh: the build failed; the end of $log:" >&2; tail -n 20 "$log" >&2; exit 1; }
  touch "$dir/done"
fi
echo "$dir"
