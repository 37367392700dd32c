#!/bin/sh
# Usage: guest-additions.sh ISO ROOT
# Put VBoxService and VBoxControl of a Guest Additions ISO into the root file system ROOT: the part of
# the Guest Additions that CPU hot-plug needs, for guests whose kernel has the module vboxguest
# (Debian's has). Needs xorriso, tar, bzip2.
set -eu
iso=${1:?usage: guest-additions.sh ISO ROOT} root=${2:?usage: guest-additions.sh ISO ROOT}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
xorriso -osirrox on -report_about FAILURE -indev "$iso" \
	-extract /VBoxLinuxAdditions.run "$work/additions.run"
# The installer is a shell archive; --noexec: only unpack.
sh "$work/additions.run" --noexec --keep --nox11 --target "$work/additions" >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	exit 1
}
mkdir "$work/tree"
tar -C "$work/tree" -xjf "$work/additions/VBoxGuestAdditions-amd64.tar.bz2"
mkdir -p "$root/usr/sbin" "$root/usr/bin"
install -m 755 "$work/tree/sbin/VBoxService" "$root/usr/sbin/VBoxService"
install -m 755 "$work/tree/bin/VBoxControl" "$root/usr/bin/VBoxControl"
