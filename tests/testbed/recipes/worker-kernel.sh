# Usage: worker-kernel.sh DIRECTORY MIRROR PACKAGE
# The workers' kernel, from this machine's own Debian, and an initramfs that finds their disk.
into=$1 here=$3
modules="virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover \
net_failover virtio_net virtio_blk fuse virtiofs"

work=$into/work
mkdir -p "$work/initramfs/bin" "$work/initramfs/modules"
cd "$work"
for directory in proc sys dev root; do mkdir "initramfs/$directory"; done
kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)/\1/p')
apt-get -q -o APT::Sandbox::User=root download "$kernel" busybox-static
for package in *.deb; do dpkg-deb -x "$package" x; done
cp x/boot/vmlinuz-* "$into/vmlinuz"
cp x/bin/busybox initramfs/bin/busybox 2>/dev/null || cp x/usr/bin/busybox initramfs/bin/busybox
for module in $modules; do
	cp "$(find x/lib/modules -name "$module.ko")" initramfs/modules/
done
echo "$modules" >initramfs/modules/order
install -m 755 "$here/guest/initramfs-init" initramfs/init
(cd initramfs && find . | ./bin/busybox cpio -o -H newc) >"$into/initramfs"
cd /
rm -rf "$work"
