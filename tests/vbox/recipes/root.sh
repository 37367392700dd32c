# Usage: root.sh DIRECTORY MIRROR PACKAGE BUILD-ROOT
# The root in which VirtualBox runs: Debian's, with a launcher in place of its VBoxHeadless.
into=$1 mirror=$2 here=$3 tools=$4
. "$here/recipes/sid.sh"
sid "$into/root" "$mirror" virtualbox
rm -rf "$into/root/var/cache/apt" "$into/root/var/lib/apt/lists"

headless=/usr/lib/virtualbox/VBoxHeadless
chroot "$into/root" dpkg-divert --local --rename --divert $headless.debian --add $headless
mkdir "$into/work"
mount --bind "$into/work" "$tools/mnt"
cp "$here/host/headless.c" "$into/work/"
chroot "$tools" gcc -O2 -Wall -Werror -rdynamic -o /mnt/headless /mnt/headless.c
install -m 755 "$into/work/headless" "$into/root$headless"
umount "$tools/mnt"
rm -rf "$into/work"
