# Usage: worker-image.sh DIRECTORY MIRROR PACKAGE
# The workers' disk: slurmd, HTCondor's startd, the rule that onlines plugged CPUs, load generators, Python for hooks.
into=$1 mirror=$2 here=$3
. "$here/recipes/trixie.sh"
root=$into/root
# Mesa and its compiler are a dependency of stress-ng that computes nothing here: 200 MB. Of Perl,
# which condor's reporting scripts want, perl-base does for what runs in a worker: 50 MB.
trixie "$root" "$mirror" slurmd,slurm-client,munge,udev,kmod,procps,iproute2,stress-ng,python3,condor \
	--dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/libLLVM*' \
	--dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/libgallium*' \
	--dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/libz3*' \
	--dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/libperl*' \
	--dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/perl/5*' \
	--dpkgopt='path-exclude=/usr/share/perl/5*' \
	--dpkgopt='path-exclude=/usr/lib/udev/hwdb*'
chroot "$root" stress-ng --version
chroot "$root" condor_version
condor_directories "$root"

mkdir -p "$root/usr/lib/hotslot-testbed" "$root/usr/lib/hotslot" "$root/share" \
	"$root/var/log/slurm" "$root/var/spool/slurmd"
install -m 755 "$here/guest/init" "$here/guest/exec_server.py" "$root/usr/lib/hotslot-testbed/"
cat >"$root/etc/udev/rules.d/80-hotslot-cpu.rules" <<'END'
# A CPU that was plugged into this VM is put to work at once.
SUBSYSTEM=="cpu", ACTION=="add", TEST=="online", ATTR{online}=="0", ATTR{online}="1"
END
rm -rf "$root/var/cache/apt" "$root/var/lib/apt/lists" "$root/etc/munge/munge.key"

size=$(du -s --block-size=1M "$root" | cut -f1)
mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$into/disk.ext4" \
	"$((size * 12 / 10 + 512))M"
rm -rf "$root"
