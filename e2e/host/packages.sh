# shellcheck shell=bash
# Debian packages. The engine, buildx and compose come from trixie, because bookworm's engine has no named build
# contexts and bookworm has neither buildx nor compose; the suite has priority 100, so nothing else comes from it.

bookworm_packages=(chromium curl docker-registry mmdebstrap)
# Containerd mode: the engine, its runtimes, networks of workers with their names and rules.
bookworm_packages+=(containerd runc runsc containernetworking-plugins dnsmasq-base iproute2 iptables nftables)
trixie_packages=(docker.io docker-cli docker-buildx docker-compose)
trixie_sources=/etc/apt/sources.list.d/esb-e2e-trixie.sources
trixie_pin=/etc/apt/preferences.d/esb-e2e-trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# missing_of PACKAGE…: those that aren't completely installed.
missing_of() {
    local installed package
    # shellcheck disable=SC2016  # ${…} is dpkg-query's
    installed=$(dpkg-query --show --showformat='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
    for package in "$@"; do
        grep --quiet --fixed-strings --line-regexp "$package installed" <<<"$installed" || echo "$package"
    done
}

# The archive's lines of this machine, "URI SUITE" each, whatever file and format they are written in.
debian_sources() {
    # shellcheck disable=SC2016  # $(…) is apt's
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' |
        awk '$3 == "main" && $4 == "Debian" && $2 ~ /^bookworm/ { print $1, $2 }' | sort --unique
}

add_trixie() {
    local mirror
    mirror=$(debian_sources | awk '$2 == "bookworm" { print $1; exit }')
    [ -n "$mirror" ] || fail "apt has no source for bookworm's main component"
    if ! keyring_knows_trixie; then
        apt-get install --quiet --quiet --yes debian-archive-keyring
        keyring_knows_trixie || fail "$keyring doesn't hold trixie's signing key: debian-archive-keyring is too old"
    fi
    printf 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n' >"$trixie_pin"
    printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' "$mirror" "$keyring" >"$trixie_sources"
    apt-get update --quiet --quiet
}

# Its own file says that the package knows trixie, without gpg.
keyring_knows_trixie() { [ -e /usr/share/keyrings/debian-archive-trixie-automatic.gpg ]; }

apt_install() {
    local policy=/usr/sbin/policy-rc.d
    export DEBIAN_FRONTEND=noninteractive
    # The packages' own services start neither with the options nor in the place that the gate wants.
    if ! [ -e $policy ]; then
        printf '#!/bin/sh\n# e2e/setup-host.sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    dpkg --configure --pending
    apt-get install --quiet --quiet --yes --no-install-recommends "$@"
}

drop_policy() { ! grep --quiet --fixed-strings e2e/setup-host.sh /usr/sbin/policy-rc.d 2>/dev/null || rm --force /usr/sbin/policy-rc.d; }

install_packages() {
    local bookworm trixie=()
    mapfile -t bookworm < <(missing_of "${bookworm_packages[@]}")
    # An engine from elsewhere, docker.com's for one, stays.
    if ! command -v dockerd >/dev/null || dpkg-query --search "$(command -v dockerd)" 2>/dev/null | grep --quiet '^docker.io:'; then
        mapfile -t trixie < <(missing_of "${trixie_packages[@]}")
    fi
    [ $((${#bookworm[@]} + ${#trixie[@]})) -gt 0 ] || return 0

    need_root "install ${bookworm[*]} ${trixie[*]}"
    trap drop_policy EXIT
    step "reading the package lists" apt-get update --quiet --quiet
    [ ${#trixie[@]} = 0 ] || step "adding Debian trixie at priority 100" add_trixie
    step "installing ${bookworm[*]} ${trixie[*]}" apt_install "${bookworm[@]}" "${trixie[@]/%//trixie}"
    drop_policy
    trap - EXIT
}

# Any pip does, the one of the Python that comes first included; only image making needs it.
install_pip() {
    python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
}
