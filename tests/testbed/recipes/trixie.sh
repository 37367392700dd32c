# Sourced by the recipes of roots: trixie DIRECTORY MIRROR PACKAGES [mmdebstrap's options]
# The last three exclusions are what condor drags in and no daemon or command of a pool reads.
trixie() {
	root=$1 mirror=$2 packages=$3
	shift 3
	# No Valid-Until: Release files of a frozen mirror are old; their signatures stay checked.
	mmdebstrap --mode=root --variant=minbase --format=directory \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/javascript/*' \
		--dpkgopt='path-exclude=/usr/share/nodejs/*' \
		--dpkgopt='path-exclude=/usr/share/perl5/Date/*' \
		--include="$packages" "$@" trixie "$root" "$mirror"
	for user in alice:1000 bob:1001; do
		chroot "$root" useradd --uid "${user#*:}" --user-group --shell /bin/bash \
			--create-home "${user%:*}"
	done
	echo nameserver 127.0.0.1 >"$root/etc/resolv.conf"
}

# What Debian leaves to systemd-tmpfiles, and where a pool's key and tokens are kept.
condor_directories() {
	chroot "$1" install -d -o condor -g condor /var/spool/condor /var/lib/condor/execute
	install -d -m 700 "$1/etc/condor/passwords.d" "$1/etc/condor/tokens.d"
}
