#!/bin/sh
# Build a worker's disk image with Debian 12 or 13, and with `make-template.sh` a template VM from it.
# README.md beside this file tells what was tried. Run as root on the host, or on any Debian machine.
set -eu
usage() {
	cat <<'END'
Usage: debian.sh [options] OUTPUT.vdi|OUTPUT.raw
  --suite trixie|bookworm     Debian 13 (default) or 12
  --with slurm,condor         execution daemons; default slurm
  --additions ISO             Guest Additions; default: the host's own ISO
  --agent HOST:PORT           agent.listen of the host; default: as in config/slurm/hook.conf
  --slurm-conf-server HOSTS   slurmctld gives slurm.conf to the worker (slurmd --conf-server)
  --munge-key FILE            the cluster's munge.key
  --include PKG,PKG           more packages
  --apt-line LINE             another repository, as a line of sources.list
  --root-key FILE             an SSH public key for root; installs openssh-server
  --size 10G                  size of the disk, which grows as it is used; default 10G
  --mirror URL                default: Debian's, by its content delivery network
  --root-only DIR             stop at the root file system, in DIR
END
}
here=$(cd "$(dirname "$0")" && pwd)
suite=trixie daemons=slurm additions='' agent='' conf_server='' munge_key='' include='' apt_line=''
root_key='' size=10G mirror=http://deb.debian.org/debian root_only='' output=''

fail() {
	echo "debian.sh: $*" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage && exit 0 ;;
	--suite) suite=$2 && shift ;;
	--with) daemons=$2 && shift ;;
	--additions) additions=$2 && shift ;;
	--agent) agent=$2 && shift ;;
	--slurm-conf-server) conf_server=$2 && shift ;;
	--munge-key) munge_key=$2 && shift ;;
	--include) include=$2 && shift ;;
	--apt-line) apt_line=$2 && shift ;;
	--root-key) root_key=$2 && shift ;;
	--size) size=$2 && shift ;;
	--mirror) mirror=$2 && shift ;;
	--root-only) root_only=$2 && shift ;;
	-*) fail "unknown option $1; see --help" ;;
	*) output=$1 ;;
	esac
	shift
done

# What every worker has: a kernel with vboxguest, systemd's network, Python for the hooks, and
# kmod and udev, which bring plugged CPUs online.
packages=linux-image-amd64,initramfs-tools,systemd-sysv,systemd-resolved,dbus,udev,kmod,iproute2
packages=$packages,python3-minimal,ca-certificates,procps,zstd
for daemon in $(echo "$daemons" | tr , ' '); do
	case $daemon in
	slurm) packages=$packages,slurmd,slurm-client,munge ;;
	condor)
		[ "$suite" != bookworm ] || [ -n "$apt_line" ] ||
			fail "Debian 12 has no HTCondor: give --apt-line of its repository"
		packages=$packages,condor
		;;
	*) fail "--with $daemon: slurm and condor are known" ;;
	esac
done
[ -z "$root_key" ] || packages=$packages,openssh-server
[ -z "$include" ] || packages=$packages,$include

if [ -z "$additions" ]; then
	for iso in /usr/share/virtualbox/VBoxGuestAdditions.iso \
		/usr/lib/virtualbox/additions/VBoxGuestAdditions.iso; do
		[ ! -e "$iso" ] || additions=$iso
	done
fi
[ -r "$additions" ] || fail "no Guest Additions: give --additions VBoxGuestAdditions.iso" \
	"(Debian: package virtualbox-guest-additions-iso)"
[ "$suite" = trixie ] || [ "$suite" = bookworm ] || fail "--suite $suite: trixie and bookworm are known"
[ -z "$munge_key" ] || [ -r "$munge_key" ] || fail "$munge_key cannot be read"
[ -z "$root_key" ] || [ -r "$root_key" ] || fail "$root_key cannot be read"
[ -n "$root_only" ] || [ -n "$output" ] || { usage >&2 && exit 2; }
case $conf_server in *[!A-Za-z0-9.:,_-]*) fail "--slurm-conf-server $conf_server: HOST[:PORT],…" ;; esac
case $output in '' | *.vdi | *.raw) ;; *) fail "$output: a name ending in .vdi or .raw" ;; esac
[ "$(id -u)" = 0 ] || fail "run as root: the files of the worker belong to root"
for tool in mmdebstrap xorriso bzip2; do
	command -v $tool >/dev/null || fail "$tool is missing: apt install mmdebstrap xorriso bzip2"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/worker-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=${root_only:-$work/root}
# Nothing of its own accord runs in a worker while a job does.
cat >"$work/customize" <<'END'
#!/bin/sh
set -eu
chroot "$1" systemctl --quiet enable systemd-networkd.service systemd-resolved.service
chroot "$1" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
END
chmod 755 "$work/customize"
set -- "deb $mirror $suite main"
[ -z "$apt_line" ] || set -- "$@" "$apt_line"
mmdebstrap --variant=minbase --format=directory --skip=cleanup/apt/lists \
	--aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook="$work/customize \"\$1\"" \
	--include="$packages" "$suite" "$root" "$@"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin

sh "$here/guest-additions.sh" "$additions" "$root"
install -m 644 "$here/guest/20-hotslot.network" "$root/etc/systemd/network/20-hotslot.network"
echo 'LABEL=hotslot-root / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"
echo 'LABEL=HOTSLOTBOOT /boot/syslinux vfat umask=0077,nofail 0 2' >>"$root/etc/fstab"
echo worker >"$root/etc/hostname"
case ,$daemons, in *,slurm,*)
	[ -z "$conf_server" ] ||
		echo "SLURMD_OPTIONS=\"--conf-server $conf_server\"" >"$root/etc/default/slurmd"
	# A package makes a key of its own, which the cluster would not know.
	rm -f "$root/etc/munge/munge.key"
	if [ -n "$munge_key" ]; then
		install -m 400 "$munge_key" "$root/etc/munge/munge.key"
		chroot "$root" chown munge:munge /etc/munge/munge.key
	fi
	;;
esac
if [ -n "$root_key" ]; then
	install -d -m 700 "$root/root/.ssh"
	install -m 600 "$root_key" "$root/root/.ssh/authorized_keys"
fi
# A kernel that is upgraded in a worker is copied to where the boot loader reads it.
mkdir -p "$root/boot/syslinux" "$root/etc/kernel/postinst.d" "$root/etc/initramfs/post-update.d"
cat >"$root/etc/initramfs/post-update.d/hotslot-boot" <<'END'
#!/bin/sh
# The newest kernel and its initramfs, to the partition that the boot loader reads.
[ -d /boot/syslinux ] && mountpoint -q /boot/syslinux || exit 0
cp "/boot/vmlinuz-$1" /boot/syslinux/vmlinuz && cp "${2:-/boot/initrd.img-$1}" /boot/syslinux/initrd
END
chmod 755 "$root/etc/initramfs/post-update.d/hotslot-boot"
sh "$here/install-guest.sh" "$root" "$agent"
[ -z "$root_only" ] || exit 0
sh "$here/make-disk.sh" "$root" "$output" "$size"
