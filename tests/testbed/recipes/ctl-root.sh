# Usage: ctl-root.sh DIRECTORY MIRROR PACKAGE
# The controller's root: slurmctld, slurmdbd with its database filled, munge, HTCondor's central
# manager and schedd, QEMU, virtiofsd.
into=$1 mirror=$2 here=$3
. "$here/recipes/trixie.sh"
root=$into/root
trixie "$root" "$mirror" slurmctld,slurmdbd,slurm-client,slurm-wlm-basic-plugins,mariadb-server,mariadb-client,munge,condor,qemu-system-x86,qemu-utils,virtiofsd,python3-minimal
condor_directories "$root"

cat >"$root/etc/mysql/mariadb.conf.d/90-testbed.cnf" <<END
[mariadbd]
skip-networking
socket=/run/mysqld/mysqld.sock
innodb_buffer_pool_size=64M
innodb_log_file_size=8M
innodb_flush_log_at_trx_commit=0
innodb_doublewrite=0
innodb_use_native_aio=0
innodb_lock_wait_timeout=900
performance_schema=off
END
cat >"$root/etc/slurm/slurmdbd.conf" <<END
AuthType=auth/munge
DbdHost=ctl
DbdAddr=10.77.0.1
SlurmUser=root
LogTimeFormat=iso8601_ms
PidFile=/run/slurm/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
END
chmod 600 "$root/etc/slurm/slurmdbd.conf"
cat >"$root/etc/slurm/slurm.conf" <<END
ClusterName=hotslot
SlurmctldHost=ctl(10.77.0.1)
SlurmUser=root
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=10.77.0.1
NodeName=w1 CPUs=4
PartitionName=host1 Nodes=w1
END
printf "127.0.0.1 localhost\n10.77.0.1 ctl\n" >"$root/etc/hosts"
mkdir -p "$root/var/spool/slurmctld" "$root/var/log/slurm" "$root/run/slurm"

# Fill the database once, so that a testbed finds cluster, accounts, users and QOS in it.
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs run "$root/run"
hostname ctl
# slurmdbd does not listen where there is no address but the loopback's.
# shellcheck disable=SC2016
unshare --net sh -eu -c '
	ip link set lo up
	ip link add hs0 type bridge
	ip addr add 10.77.0.1/24 dev hs0
	ip link set hs0 up
	exec chroot "$1" sh -eu' sh "$root" <<'END'
mkdir -p /run/mysqld /run/munge /run/slurm
chown mysql: /run/mysqld
chown munge: /run/munge
rm -rf /var/lib/mysql
mariadb-install-db --user=mysql --skip-test-db >/dev/null
mariadbd --user=mysql &
mariadbd=$!
runuser -u munge -- munged
until mariadb -e 'select 1' >/dev/null 2>&1; do
	kill -0 $mariadbd
	sleep 0.2
done
mariadb -e "create database slurm; create user slurm@localhost identified by 'slurm';
	grant all on slurm.* to slurm@localhost;"
slurmdbd -D &
slurmdbd=$!
until sacctmgr -n -i list cluster >/dev/null 2>&1; do
	kill -0 $slurmdbd
	sleep 0.3
done
sacctmgr -i add cluster hotslot
sacctmgr -i add account users description=users organization=hotslot
sacctmgr -i add user alice,bob account=users
sacctmgr -i add qos host1 set GrpTRES=cpu=8
kill $slurmdbd && wait $slurmdbd || true
mariadb-admin shutdown
wait $mariadbd
kill "$(cat /run/munge/munged.pid)"
END
rm -f "$root/var/lib/mysql"/*.err "$root/etc/munge/munge.key"
