#!/bin/sh
# Usage: install-guest.sh ROOT [AGENT]
# Put what hotslot needs in a worker into the root file system ROOT ("/" for this machine): hooks,
# hook.conf, the udev rule, the worker's name at boot, VBoxService's unit where there is none.
# AGENT is HOST:PORT of agent.listen. Needs nothing but this checkout; doing it twice changes nothing.
#
# For images that are made otherwise (kickstart, packer, cloud-init), run it there as the last step.
set -eu
root=${1:?usage: install-guest.sh ROOT [AGENT]} agent=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
root=${root%/}
units=$root/etc/systemd/system

put() { # MODE FILE DESTINATION
	mkdir -p "$root$(dirname "$3")"
	install -m "$1" "$2" "$root$3"
}
at_boot() { # UNIT TARGET; as systemctl enable, which a foreign root may not be able to run
	mkdir -p "$units/$2.wants"
	ln -sf "/etc/systemd/system/$1" "$units/$2.wants/$1"
}

put 644 "$source/plugin/hotslot_plugin/hook.py" /usr/lib/hotslot/hook.py
put 755 "$source/prolog/slurm-prolog" /usr/lib/hotslot/slurm-prolog
put 755 "$source/epilog/slurm-epilog" /usr/lib/hotslot/slurm-epilog
put 644 "$source/plugin/hotslot_plugin/gate.py" /usr/lib/hotslot/gate.py
put 755 "$source/prolog/condor-prepare-job" /usr/lib/hotslot/condor-prepare-job
put 755 "$source/epilog/condor-job-exit" /usr/lib/hotslot/condor-job-exit
put 755 "$source/packaging/worker/condor-gate" /usr/lib/hotslot/condor-gate
# Where HTCondor is installed; HOTSLOT_CEILING in it is the worker's own (docs/htcondor.md).
if [ -d "$root/etc/condor/config.d" ] && [ ! -e "$root/etc/condor/config.d/40-hotslot-worker.conf" ]; then
	put 644 "$source/config/condor/40-hotslot-worker.conf" \
		/etc/condor/config.d/40-hotslot-worker.conf
fi
put 644 "$source/packaging/worker/40-hotslot-cpu.rules" /etc/udev/rules.d/40-hotslot-cpu.rules
[ -e "$root/etc/hotslot/hook.conf" ] ||
	put 644 "$source/config/slurm/hook.conf" /etc/hotslot/hook.conf
if [ -n "$agent" ]; then
	case $agent in
	*[!A-Za-z0-9.:_\[\]-]*)
		echo "install-guest.sh: $agent is no HOST:PORT" >&2
		exit 2
		;;
	esac
	sed -i "s/^agent=.*/agent=$agent/" "$root/etc/hotslot/hook.conf"
fi

put 755 "$here/guest/hotslot-node" /usr/lib/hotslot/hotslot-node
put 644 "$here/guest/hotslot-node.service" /etc/systemd/system/hotslot-node.service
at_boot hotslot-node.service sysinit.target
put 644 "$here/guest/slurmd-after-name.conf" /etc/systemd/system/slurmd.service.d/hotslot.conf
put 644 "$here/guest/condor-after-name.conf" /etc/systemd/system/condor.service.d/hotslot.conf

# Distributions and Oracle's installer call the unit of VBoxService differently; ours if neither is.
found=
for unit in virtualbox-guest-utils vboxadd-service vboxservice; do
	for folder in /usr/lib/systemd/system /lib/systemd/system /etc/systemd/system; do
		[ ! -e "$root$folder/$unit.service" ] || found=$unit
	done
done
[ ! -x "$root/etc/init.d/vboxadd-service" ] || found=vboxadd-service
if [ -z "$found" ]; then
	put 644 "$here/guest/hotslot-vboxservice.service" \
		/etc/systemd/system/hotslot-vboxservice.service
	at_boot hotslot-vboxservice.service multi-user.target
fi
mkdir -p "$root/etc/modules-load.d"
echo vboxguest >"$root/etc/modules-load.d/hotslot.conf"

# Each clone is a machine of its own: what would make them alike goes.
[ "$root" = "" ] || : >"$root/etc/machine-id"
[ "$root" = "" ] || rm -f "$root"/etc/ssh/ssh_host_*_key "$root"/etc/ssh/ssh_host_*_key.pub
