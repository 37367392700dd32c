# Usage: clean-root.sh DIRECTORY MIRROR PACKAGE SUITE
# A small Debian as it is before hotslot is installed: what the packages depend on, and no more.
into=$1 mirror=$2 suite=$4
mmdebstrap --mode=root --variant=minbase --format=directory \
	--aptopt='Acquire::Check-Valid-Until "false"' \
	--aptopt='APT::Install-Recommends "false"' \
	--dpkgopt=force-unsafe-io \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--include=python3,systemd,udev,man-db,bash-completion \
	"$suite" "$into/root" "$mirror"
rm -rf "$into/root/var/lib/apt/lists" "$into/root/var/cache/apt"
