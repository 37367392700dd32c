# Usage: boot.sh ROOT HIERARCHY…
# Process 1 of new namespaces: makes of a root file system what a container's systemd expects, and
# becomes it. A HIERARCHY of cgroups is TYPE:OPTIONS:DIRECTORY, with the directory below /sys/fs/cgroup.
set -eu
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
# The kernel's settings are the machine's.
mount --bind proc/sys proc/sys
mount -o remount,ro,bind proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do cp -a "/dev/$node" dev/; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
[ "${1##*:}" = . ] || mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
for hierarchy in "$@"; do
	type=${hierarchy%%:*} at=${hierarchy##*:} options=${hierarchy#*:}
	mkdir -p "sys/fs/cgroup/$at"
	mount -t "$type" -o "${options%:*}" "$type" "sys/fs/cgroup/$at"
	case $at in
	*,*) for one in $(echo "$at" | tr , ' '); do ln -s "$at" "sys/fs/cgroup/$one"; done ;;
	esac
done
ip link set lo up
pivot_root . mnt
umount -l /mnt
# Neither modules nor clock nor debugfs: they are the machine's, too.
exec /usr/bin/setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time,-sys_boot \
	/usr/bin/env -i container=hotslot PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
