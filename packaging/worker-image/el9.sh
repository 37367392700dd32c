#!/bin/sh
# Build a worker's disk image from a cloud image of Rocky Linux 9 or AlmaLinux 9 (GenericCloud, qcow2),
# which its maker signs and which boots already. Needs virt-customize (guestfs-tools), qemu-img, xorriso.
# README.md beside this file tells what was tried: this script was not.
set -eu
usage() {
	cat <<'END'
Usage: el9.sh [options] CLOUD-IMAGE.qcow2 OUTPUT.vdi
  --install PKG,PKG           execution daemons; default slurm-slurmd,munge (EPEL)
  --repo RPM                  a package that brings a repository, as a URL or path in the image's
                              terms; may be repeated; default: epel-release
  --enable UNIT,UNIT          services to start at boot; default slurmd,munge
  --additions ISO             Guest Additions; default: the host's own ISO
  --agent HOST:PORT           agent.listen of the host; default: as in config/slurm/hook.conf
  --slurm-conf-server HOSTS   slurmctld gives slurm.conf to the worker (slurmd --conf-server)
  --munge-key FILE            the cluster's munge.key
  --root-key FILE             an SSH public key for root
For HTCondor: --repo its release package, --install condor --enable condor.
END
}
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
install=slurm-slurmd,munge repos='' enable=slurmd,munge additions='' agent='' conf_server=''
munge_key='' root_key='' image='' output=''

fail() {
	echo "el9.sh: $*" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage && exit 0 ;;
	--install) install=$2 && shift ;;
	--repo) repos="$repos $2" && shift ;;
	--enable) enable=$2 && shift ;;
	--additions) additions=$2 && shift ;;
	--agent) agent=$2 && shift ;;
	--slurm-conf-server) conf_server=$2 && shift ;;
	--munge-key) munge_key=$2 && shift ;;
	--root-key) root_key=$2 && shift ;;
	-*) fail "unknown option $1; see --help" ;;
	*) if [ -z "$image" ]; then image=$1; else output=$1; fi ;;
	esac
	shift
done
[ -n "$output" ] || { usage >&2 && exit 2; }
for word in "$install" "$enable" "$repos" "$agent" "$conf_server"; do
	# These words become parts of commands in the image.
	case $word in *[!A-Za-z0-9.:/,_+@~\ \[\]-]*) fail "a word with odd characters: $word" ;; esac
done
if [ -z "$additions" ]; then
	for iso in /usr/share/virtualbox/VBoxGuestAdditions.iso \
		/usr/lib/virtualbox/additions/VBoxGuestAdditions.iso; do
		[ ! -e "$iso" ] || additions=$iso
	done
fi
[ -r "$additions" ] || fail "no Guest Additions: give --additions VBoxGuestAdditions.iso"
[ -r "$image" ] || fail "$image cannot be read"
[ -z "$munge_key" ] || [ -r "$munge_key" ] || fail "$munge_key cannot be read"
[ -z "$root_key" ] || [ -r "$root_key" ] || fail "$root_key cannot be read"
for tool in virt-customize qemu-img xorriso; do
	command -v $tool >/dev/null || fail "$tool is missing: dnf install guestfs-tools qemu-img xorriso"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/worker-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
qemu-img convert -O qcow2 "$image" "$work/disk.qcow2"
xorriso -osirrox on -report_about FAILURE -indev "$additions" \
	-extract /VBoxLinuxAdditions.run "$work/additions.run"
# What install-guest.sh needs of this checkout, in the places where it looks.
mkdir "$work/hotslot"
(cd "$source" && tar -cf - plugin/hotslot_plugin/hook.py prolog epilog config/slurm/hook.conf \
	packaging/worker packaging/worker-image) | tar -C "$work/hotslot" -xf -
# The kernel of these distributions has no vboxguest: Oracle's installer builds it, for the kernel that
# the image has after the update, and vboxadd.service again after each later one.
cat >"$work/additions.sh" <<'END'
set -eu
kernel=$(rpm -q kernel-core --qf '%{VERSION}-%{RELEASE}.%{ARCH}\n' | sort -V | tail -n 1)
dnf -y install "kernel-devel-$kernel" gcc make perl bzip2 tar elfutils-libelf-devel
# It cannot load the modules here, and says so with its exit code.
sh /root/additions.run --nox11 || :
/sbin/rcvboxadd quicksetup "$kernel" || :
test -x /usr/sbin/VBoxService
find "/lib/modules/$kernel" -name 'vboxguest.ko*' | grep -q .
systemctl enable vboxadd.service vboxadd-service.service
rm /root/additions.run
END
set -- --update
for repo in ${repos:-epel-release}; do
	set -- "$@" --run-command "dnf -y install $repo"
done
set -- "$@" --install "python3,$install" --copy-in "$work/additions.run:/root" \
	--run "$work/additions.sh" --copy-in "$work/hotslot:/root" \
	--run-command "sh /root/hotslot/packaging/worker-image/install-guest.sh / $agent" \
	--run-command "rm -rf /root/hotslot" \
	--run-command "systemctl enable $(echo "$enable" | tr , ' ')" \
	--touch /etc/cloud/cloud-init.disabled
[ -z "$conf_server" ] || set -- "$@" \
	--write "/etc/sysconfig/slurmd:SLURMD_OPTIONS=\"--conf-server $conf_server\""
[ -z "$munge_key" ] || set -- "$@" --upload "$munge_key:/etc/munge/munge.key" \
	--run-command "chown munge:munge /etc/munge/munge.key && chmod 400 /etc/munge/munge.key"
[ -z "$root_key" ] || set -- "$@" --ssh-inject "root:file:$root_key"
virt-customize -a "$work/disk.qcow2" "$@" --truncate /etc/machine-id --selinux-relabel
qemu-img convert -O vdi "$work/disk.qcow2" "$output"
