# Usage: kernel.sh DIRECTORY MIRROR PACKAGE BUILD-ROOT
# The guest's kernel. VirtualBox's interpreter carries out some 8 million guest instructions a
# second; a kernel of a distribution would boot for many minutes, this one boots in seconds.
into=$1 here=$3 tools=$4
work=$into/work
mkdir "$work"
mount --bind "$work" "$tools/mnt"
mount --bind /dev "$tools/dev"
mount -t proc proc "$tools/proc"
cp "$here/guest/kernel.config" "$work/fragment"
chroot "$tools" sh -eu <<'END'
cd /mnt
tar -x --strip-components=1 -f /usr/src/linux-source-*.tar.xz
make -s tinyconfig
scripts/kconfig/merge_config.sh -m .config fragment >/dev/null
make -s olddefconfig
missing=$(grep -v '^#' fragment | grep -vxFf .config || true)
[ -z "$missing" ] || { echo "this kernel does not know: $missing" >&2; exit 1; }
make -j"$(nproc)" bzImage
END
cp "$work/arch/x86/boot/bzImage" "$work/.config" "$into/"
umount "$tools/mnt"
rm -rf "$work"
