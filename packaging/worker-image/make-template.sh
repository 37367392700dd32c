#!/bin/sh
# Usage: make-template.sh DISK.vdi NAME [MEMORY_MIB]
# Register a VM with this disk that `hotslot workers add WORKER --template NAME` clones. Run it as the
# user whose VMs they are. Never start the template: each clone should be at its first boot.
set -eu
disk=${1:?usage: make-template.sh DISK.vdi NAME [MEMORY_MIB]} name=${2:?} memory=${3:-4096}
manage=VBoxManage
[ ! -x /usr/lib/virtualbox/VBoxManage ] || manage=/usr/lib/virtualbox/VBoxManage
disk=$(readlink -f "$disk")
$manage createvm --name "$name" --ostype Linux_64 --register
$manage modifyvm "$name" --memory "$memory" --cpus 2 --cpu-hotplug on --ioapic on --x86-pae on \
	--rtc-use-utc on --graphicscontroller vmsvga --vram 16 --audio-enabled off --usb-ohci off \
	--paravirt-provider kvm --boot1 disk --boot2 none --boot3 none --boot4 none --nic1 none
$manage storagectl "$name" --name sata --add sata --controller IntelAhci --portcount 2 \
	--hostiocache on
$manage storageattach "$name" --storagectl sata --port 0 --device 0 --type hdd --medium "$disk"
echo "made the template $name; next: hotslot workers add w1 --template $name --vcpus 16 --memory 32G"
