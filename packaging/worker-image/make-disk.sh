#!/bin/sh
# Usage: make-disk.sh ROOT OUTPUT.vdi|OUTPUT.raw SIZE
# A disk that boots, from a root file system: partition 1 has the boot loader, kernel and initramfs
# (FAT, SYSLINUX, BIOS), partition 2 the root (ext4, label hotslot-root). Needs no loop device and no
# kernel module: sfdisk, dosfstools, mtools, syslinux, e2fsprogs, and VBoxManage or qemu-img.
set -eu
root=${1:?} output=${2:?} size=${3:?}
boot_mib=256
for tool in sfdisk mkfs.vfat mcopy syslinux mkfs.ext4; do
	command -v $tool >/dev/null && continue
	echo "make-disk.sh: $tool is missing: apt install fdisk dosfstools mtools syslinux" \
		"syslinux-common e2fsprogs" >&2
	exit 2
done
case $size in
*G) size_mib=$((${size%G} * 1024)) ;;
*M) size_mib=${size%M} ;;
*) echo "make-disk.sh: SIZE is like 10G or 4096M" >&2 && exit 2 ;;
esac
mbr=
for file in /usr/lib/syslinux/mbr/mbr.bin /usr/share/syslinux/mbr.bin; do
	[ ! -e $file ] || mbr=$file
done
[ -n "$mbr" ] || { echo "make-disk.sh: no mbr.bin of SYSLINUX (syslinux-common)" >&2 && exit 2; }
work=$(mktemp -d "${TMPDIR:-/tmp}/worker-disk.XXXXXX")
trap 'rm -rf "$work"' EXIT
raw=$work/disk.raw
[ "${output%.raw}" = "$output" ] || raw=$output

newest() { # of several kernels the last by version
	find "$root/boot" -maxdepth 1 -name "$1-*" | sort -V | tail -n 1
}
cat >"$work/syslinux.cfg" <<'END'
DEFAULT worker
PROMPT 0
TIMEOUT 1
LABEL worker
 KERNEL vmlinuz
 APPEND initrd=initrd root=LABEL=hotslot-root ro quiet console=ttyS0 console=tty0
END
truncate -s "${boot_mib}M" "$work/boot.fat"
mkfs.vfat -n HOTSLOTBOOT "$work/boot.fat" >/dev/null
mcopy -i "$work/boot.fat" "$(newest vmlinuz)" ::vmlinuz
mcopy -i "$work/boot.fat" "$(newest initrd.img)" ::initrd
mcopy -i "$work/boot.fat" "$work/syslinux.cfg" ::syslinux.cfg
syslinux --install "$work/boot.fat"

rm -f "$raw"
truncate -s "${size_mib}M" "$raw"
printf '%s\n' "label: dos" "start=1MiB, size=${boot_mib}MiB, type=c, bootable" "type=83" |
	sfdisk --quiet "$raw"
dd if="$mbr" of="$raw" bs=440 count=1 conv=notrunc status=none
dd if="$work/boot.fat" of="$raw" bs=1M seek=1 conv=notrunc,sparse status=none
start_mib=$((boot_mib + 1))
mkfs.ext4 -q -F -L hotslot-root -E "offset=$((start_mib << 20)),lazy_itable_init=1" -d "$root" \
	"$raw" "$((size_mib - start_mib))M"
[ "$raw" != "$output" ] || exit 0
rm -f "$output"
if command -v qemu-img >/dev/null; then
	qemu-img convert -f raw -O vdi "$raw" "$output"
else
	VBoxManage convertfromraw "$raw" "$output" --format VDI
fi
