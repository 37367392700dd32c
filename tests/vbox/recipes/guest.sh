# Usage: guest.sh DIRECTORY MIRROR PACKAGE BUILD-ROOT KERNEL
# The guest: an ISO image with the kernel, busybox and Debian's VBoxService in an initramfs.
into=$1 here=$3 tools=$4 kernel=$5
work=$into/work
mkdir -p "$work/iso/isolinux"
mount --bind "$work" "$tools/mnt"
cp "$here/guest/init" "$here/guest/vboxservice" "$here/guest/announce.c" \
	"$here/guest/onliner.c" "$work/"
cp "$kernel/bzImage" "$work/iso/vmlinuz"
cat >"$work/iso/isolinux/isolinux.cfg" <<'END'
DEFAULT guest
PROMPT 0
LABEL guest
 KERNEL /vmlinuz
 APPEND initrd=/initrd console=ttyS0,115200 nokaslr 8250.nr_uarts=4 quiet loglevel=4 tsc=reliable clocksource=kvm-clock no_timer_check lpj=1000000
END
chroot "$tools" sh -eu <<'END'
cd /mnt
mkdir -p initrd/bin initrd/sbin initrd/dev initrd/proc initrd/sys initrd/tmp initrd/etc initrd/run
for program in announce onliner; do
	gcc -static -Os -Wall -Werror -o "initrd/bin/$program" "$program.c"
	strip "initrd/bin/$program"
done
cp /usr/bin/busybox initrd/bin/
for applet in $(busybox --list); do
	[ -e "initrd/bin/$applet" ] || ln -s busybox "initrd/bin/$applet"
done
install -m 755 init initrd/init
install -m 755 vboxservice initrd/bin/
cp /usr/sbin/VBoxService initrd/sbin/
# VBoxService is the one program in the guest that is linked dynamically.
ldd /usr/sbin/VBoxService | grep -o '/[^ ]*' | while read -r library; do
	mkdir -p "initrd/$(dirname "$library")"
	cp -L "$library" "initrd/$library"
done
echo root:x:0:0:root:/:/bin/sh >initrd/etc/passwd
echo root:x:0: >initrd/etc/group
(cd initrd && find . | cpio --quiet -o -H newc) >iso/initrd
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 iso/isolinux/
xorriso -as mkisofs -quiet -o guest.iso -b isolinux/isolinux.bin -c isolinux/boot.cat \
	-no-emul-boot -boot-load-size 4 -boot-info-table iso
END
mv "$work/guest.iso" "$into/"
umount "$tools/mnt"
rm -rf "$work"
