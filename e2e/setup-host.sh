#!/usr/bin/env bash
# Brings a bare Debian 12 host to where the gate runs: a browser, a container engine with buildx and compose, what
# containerd mode needs, a registry on 127.0.0.1:5010 and the base images in it. Packages come from the sources
# this machine has, Python wheels from where pip gets them. Run as root. What is there stays as it is: a second run
# only looks.
# e2e/host/README.md says what goes where.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/host"

# shellcheck source=e2e/host/common.sh
. ./common.sh
# shellcheck source=e2e/host/packages.sh
. ./packages.sh
# shellcheck source=e2e/host/engine.sh
. ./engine.sh
# shellcheck source=e2e/host/registry.sh
. ./registry.sh
# shellcheck source=e2e/host/images.sh
. ./images.sh
# shellcheck source=e2e/host/node_image.sh
. ./node_image.sh

usage() {
    cat <<TEXT
usage: e2e/setup-host.sh [--remove]

Without an option: install what is missing, start what doesn't answer, build and push the base images that changed.
  --remove   stop what this script started and delete $STATE; packages stay
TEXT
}

case "${1:-}" in
    "") ;;
    --remove)
        need_root "remove what was set up"
        one_at_a_time
        stop_registry
        stop_engine
        delete_state
        exit 0
        ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
esac

if [ "$(id -u)" = 0 ]; then
    one_at_a_time
fi
install_packages
start_engine
start_registry
make_images
make_node_image
