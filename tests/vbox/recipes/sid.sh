# Sourced by the recipes of roots: sid DIRECTORY MIRROR PACKAGES [mmdebstrap's options]
# VirtualBox is in Debian's unstable only, in its component contrib.
sid() {
	root=$1 mirror=$2 packages=$3
	shift 3
	# No Valid-Until: Release files of a frozen mirror are old; their signatures stay checked.
	mmdebstrap --mode=root --variant=minbase --format=directory --components=main,contrib \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--include="$packages" "$@" sid "$root" "$mirror"
}
