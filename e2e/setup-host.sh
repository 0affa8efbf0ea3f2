#!/usr/bin/env bash
# Brings what the gate needs and Python packages cannot: a browser. Debian packages, from the sources this machine
# has; run as root. What is there stays as it is, so a second run takes no time.
set -euo pipefail

packages=(chromium)

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "setup-host.sh: not installed: ${missing[*]}; run it once as root" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet --quiet
apt-get install --quiet --quiet --yes --no-install-recommends "${missing[@]}"
