#!/bin/sh
# Build packages into dist/: build.sh wheel|deb|rpm…, as `make wheel`, `make deb`, `make rpm` do.
#
# Installs what building needs (as root, from Debian's archive); tools and the pinned wheels are
# kept in the cache beside the testbed's artifacts, so that a second build needs no network.
# HOTSLOT_RELEASE is the packages' release, 1 unless told. Times come from SOURCE_DATE_EPOCH, else
# from the last commit, so that the same tree gives the same files.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(dirname "$here")
dist=$tree/dist
cache=${HOTSLOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hotslot}
release=${HOTSLOT_RELEASE:-1}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$tree/pyproject.toml")
: "${SOURCE_DATE_EPOCH:=$(git -C "$tree" log -1 --format=%ct 2>/dev/null || stat -c %Y "$tree/CHANGELOG.md")}"
export SOURCE_DATE_EPOCH PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 TZ=UTC
umask 022
# The distributions' own: Debian 12, Ubuntu 24.04 and EL 9 and 10, Debian 13.
pythons="3.11 3.12 3.13"
stage=

say() { printf '%s\n' "hotslot: $*" >&2; }
need() { # PACKAGE…
	missing=
	for package in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	say "installing$missing"
	log=$(mktemp)
	# shellcheck disable=SC2086
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 $missing; } >"$log" 2>&1 || { cat "$log" >&2 && exit 1; }
	rm -f "$log"
}
key() { cat "$@" | sha256sum | cut -c1-16; }

# Sets $python to one that can build, from build.lock.
tools() {
	need python3 python3-venv
	home=$cache/package-tools-$(key "$here/build.lock")
	python=$home/bin/python
	[ ! -x "$python" ] || return 0
	say "installing the tools of build.lock"
	mkdir -p "$cache"
	rm -rf "$home.part"
	/usr/bin/python3 -m venv "$home.part"
	"$home.part/bin/python" -m pip install -qq --require-hashes -r "$here/build.lock"
	mv "$home.part" "$home"
}

# What pip is told of the machines that a package is for: runs_on PYTHON.
runs_on() {
	echo "--implementation cp --python-version $1"
	for libc in _2_28 _2_27 _2_26 _2_24 _2_17 2014 _2_12 2010 _2_5 1; do
		echo "--platform manylinux${libc}_x86_64"
	done
}

# Sets $wheels to a directory with what requirements.lock names, for each Python.
wheels() {
	tools
	wheels=$cache/package-wheels-$(key "$here/requirements.lock")
	[ ! -d "$wheels" ] || return 0
	say "fetching the wheels of requirements.lock"
	rm -rf "$wheels.part"
	for minor in $pythons; do
		# shellcheck disable=SC2046
		"$python" -m pip download -qq --no-deps --require-hashes --only-binary :all: \
			$(runs_on "$minor") -d "$wheels.part" -r "$here/requirements.lock"
	done
	mv "$wheels.part" "$wheels"
}

build_wheel() {
	tools
	mkdir -p "$dist"
	say "building sdist and wheel"
	(cd "$tree" && "$python" -m build --no-isolation --outdir "$dist" . >"$dist/wheel.log" 2>&1) ||
		{ tail -30 "$dist/wheel.log" >&2 && exit 1; }
	rm "$dist/wheel.log"
}

# Lay out $stage/hotslot and $stage/hotslot-worker as they are to be on a machine.
stage() {
	[ -z "$stage" ] || return 0
	need python3 gzip
	wheels
	build_wheel
	stage=$(mktemp -d)
	trap 'rm -rf "$stage"' EXIT
	say "laying out the packages"
	stage_host "$stage/hotslot"
	stage_worker "$stage/hotslot-worker"
	put 644 "$tree/LICENSE" "$stage/LICENSE"
	find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}
put() { # MODE FILE DESTINATION
	mkdir -p "$(dirname "$3")"
	install -m "$1" "$2" "$3"
}
pip_into() { # DIRECTORY PYTHON WHEEL…
	into=$1 minor=$2
	shift 2
	# shellcheck disable=SC2046
	"$python" -m pip install -qq --no-deps --no-index --no-compile --only-binary :all: \
		--no-warn-script-location $(runs_on "$minor") --target "$into" "$@"
	rm -rf "${into:?}/bin"
}
# One virtual environment for several Pythons: what is compiled is in pythonX.Y, the rest in python3.
stage_venv() { # VENV
	mkdir -p "$1/bin"
	ln -s /usr/bin/python3 "$1/bin/python"
	printf 'home = /usr/bin\ninclude-system-site-packages = false\n' >"$1/pyvenv.cfg"
	common=$1/lib/python3/site-packages
	pip_into "$common" "${pythons%% *}" "$wheels"/*-none-*.whl "$wheels"/*-abi3-*.whl \
		"$dist/hotslot-$version-py3-none-any.whl"
	# sqlite-utils wants pip for a command of its own, which nobody has here.
	rm -rf "$common"/pip "$common"/pip-*
	for minor in $pythons; do
		site=$1/lib/python$minor/site-packages
		tag=cp$(echo "$minor" | tr -d .)
		pip_into "$site" "$minor" "$wheels"/*-"$tag-$tag"-*.whl
		# The last is for what a site adds: docs/install.md.
		printf '%s\n' ../../python3/site-packages "/usr/local/lib/hotslot/python$minor" \
			>"$site/hotslot.pth"
	done
	find "$1" \( -name __pycache__ -o -name direct_url.json -o -name REQUESTED \) -prune -exec rm -rf {} +
	find "$1" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
	for command in hotslot hotslotd; do put 755 "$here/bin/$command" "$1/bin/$command"; done
}
stage_host() { # ROOT
	venv=$1/usr/lib/hotslot/venv
	stage_venv "$venv"
	mkdir -p "$1/usr/bin"
	for command in hotslot hotslotd; do
		ln -s "../lib/hotslot/venv/bin/$command" "$1/usr/bin/$command"
	done
	for unit in hotslotd.service hotslot-vboxsvc.service hotslot-prune.service hotslot-prune.timer; do
		put 644 "$here/systemd/$unit" "$1/usr/lib/systemd/system/$unit"
	done
	put 644 "$here/systemd/hotslot.sysusers" "$1/usr/lib/sysusers.d/hotslot.conf"
	put 644 "$here/systemd/hotslot.tmpfiles" "$1/usr/lib/tmpfiles.d/hotslot.conf"
	mkdir -p "$1/etc/hotslot"
	awk -f "$here/unconfigured.awk" "$tree/config/hotslot.yaml" >"$1/etc/hotslot/hotslot.yaml"
	chmod 644 "$1/etc/hotslot/hotslot.yaml"
	stage_share "$1/usr/share/hotslot"
	stage_docs "$1"
}
# What an administrator takes from a checkout: examples, the worker's image, the locks.
stage_share() { # DIRECTORY
	share=$1
	mkdir -p "$share"
	(cd "$tree" && find config packaging/worker packaging/worker-image packaging/systemd prolog epilog \
		plugin/hotslot_plugin/hook.py plugin/hotslot_plugin/gate.py \
		-name __pycache__ -prune -o -type f -print0 | tar --null -T - -cf -) |
		tar -C "$share" --no-same-owner -xf -
	find "$share" -type d -exec chmod 755 {} + -o -type f -perm -u+x -exec chmod 755 {} + \
		-o -type f -exec chmod 644 {} +
	for file in requirements-replay.lock compile.sh; do put 644 "$here/$file" "$share/$file"; done
}
stage_docs() { # ROOT
	docs=$1/usr/share/doc/hotslot
	for page in "$tree"/README.md "$tree"/CHANGELOG.md; do put 644 "$page" "$docs/${page##*/}"; done
	for page in "$tree"/docs/*.md; do put 644 "$page" "$docs/docs/${page##*/}"; done
	venv_python=$1/usr/lib/hotslot/venv/bin/python
	"$venv_python" -B "$here/man/manpages.py" "$1/man.part"
	for page in "$1"/man.part/*; do
		[ "${page##*/}" != hook.conf.5 ] || continue
		gzip -9n "$page"
		put 644 "$page.gz" "$1/usr/share/man/man${page##*.}/${page##*/}.gz"
	done
	mkdir -p "$1/usr/share/bash-completion/completions" "$1/usr/share/zsh/vendor-completions" \
		"$1/usr/share/fish/vendor_completions.d"
	completion() { _HOTSLOT_COMPLETE=$1_source "$venv_python" -B "$here/bin/hotslot"; }
	completion bash >"$1/usr/share/bash-completion/completions/hotslot"
	completion zsh >"$1/usr/share/zsh/vendor-completions/_hotslot"
	completion fish >"$1/usr/share/fish/vendor_completions.d/hotslot.fish"
	put 644 "$1/man.part/hook.conf.5" "$stage/hook.conf.5"
	rm -rf "$1/man.part"
}
stage_worker() { # ROOT
	lib=$1/usr/lib/hotslot
	put 644 "$tree/plugin/hotslot_plugin/hook.py" "$lib/hook.py"
	put 644 "$tree/plugin/hotslot_plugin/gate.py" "$lib/gate.py"
	for script in prolog/slurm-prolog prolog/condor-prepare-job epilog/slurm-epilog \
		epilog/condor-job-exit packaging/worker/condor-gate; do
		put 755 "$tree/$script" "$lib/${script##*/}"
	done
	put 644 "$here/worker/40-hotslot-cpu.rules" "$1/usr/lib/udev/rules.d/40-hotslot-cpu.rules"
	put 644 "$tree/config/slurm/hook.conf" "$1/etc/hotslot/hook.conf"
	put 644 "$tree/config/condor/40-hotslot-worker.conf" \
		"$1/usr/share/doc/hotslot-worker/examples/40-hotslot-worker.conf"
	gzip -9n "$stage/hook.conf.5"
	put 644 "$stage/hook.conf.5.gz" "$1/usr/share/man/man5/hook.conf.5.gz"
	rm "$stage/hook.conf.5.gz"
}

build_deb() {
	need debhelper
	stage
	say "building .deb"
	work=$stage/deb
	mkdir -p "$work"
	cp -r "$here/debian" "$work/debian"
	cp "$here/systemd/hotslot.sysusers" "$here/systemd/hotslot.tmpfiles" "$work/debian/"
	date=$(date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')
	printf 'hotslot (%s-%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- The hotslot authors <hotslot@localhost>  %s\n' \
		"$version" "$release" "$date" >"$work/debian/changelog"
	(cd "$work" && STAGE=$stage dpkg-buildpackage -b -us -uc -d --no-sign >../deb.log 2>&1) ||
		{ tail -40 "$stage/deb.log" >&2 && exit 1; }
	mkdir -p "$dist"
	cp "$stage"/*.deb "$dist/"
	ls -l "$dist"/hotslot*_"$version-$release"_*.deb >&2
}

build_rpm() {
	need rpm
	stage
	say "building .rpm"
	(cd "$stage" && rpmbuild -bb --quiet --target x86_64 --define "_topdir $stage/rpm" \
		--define "stage $stage" --define "hotslot_version $version" \
		--define "hotslot_release $release" "$here/rpm/hotslot.spec" >rpm.log 2>&1) ||
		{ tail -40 "$stage/rpm.log" >&2 && exit 1; }
	mkdir -p "$dist"
	find "$stage/rpm/RPMS" -name '*.rpm' -exec cp {} "$dist/" \;
	ls -l "$dist"/hotslot*-"$version-$release".*.rpm >&2
}

for what in "$@"; do
	case $what in
	wheel) build_wheel ;;
	deb) build_deb ;;
	rpm) build_rpm ;;
	*) say "usage: build.sh wheel|deb|rpm…" && exit 2 ;;
	esac
done
