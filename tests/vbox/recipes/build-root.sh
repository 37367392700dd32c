# Usage: build-root.sh DIRECTORY MIRROR PACKAGE
# A root in which the guest and the launcher are made; VirtualBox's own root needs no compiler.
into=$1 mirror=$2 here=$3
. "$here/recipes/sid.sh"
sid "$into/root" "$mirror" gcc,libc6-dev,make,perl,flex,bison,bc,libelf-dev,linux-source,\
lz4,xz-utils,cpio,xorriso,isolinux,syslinux-common,busybox-static,virtualbox-guest-utils
rm -rf "$into/root/var/cache/apt" "$into/root/var/lib/apt/lists"
