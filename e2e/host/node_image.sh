# shellcheck shell=bash
# The base of the runtime node's image: the one with Python, and what services/runtime-node/Dockerfile would fetch. apt
# of this host finds out what that takes beside the base's own packages, so nothing is fetched inside a container.

node_image=esb-node-base:3.11
node_image_inputs=(node_image.sh images/node.Dockerfile)
node_packages=(containerd runc runsc containernetworking-plugins dnsmasq-base iproute2 iptables nftables)

# What it is made from: these files, and the base as the registry has it.
node_image_digest() {
    { uname --machine && manifest_of esb-python:3.11 && cat "${node_image_inputs[@]}"; } | sha256sum | cut --characters 1-16
}

fetch_node_packages() {
    docker run --rm --network none "$REGISTRY/esb-python:3.11" cat /var/lib/dpkg/status >"$work/status"
    touch "$work/extended_states"
    mkdir -p "$work/debs/partial"
    apt-get install --quiet --quiet --yes --no-install-recommends --download-only \
        -o Dir::State::status="$work/status" -o Dir::State::extended_states="$work/extended_states" \
        -o Dir::Cache::archives="$work/debs" -o Debug::NoLocking=1 "${node_packages[@]}"
    rmdir "$work/debs/partial"
}

build_node_image() {
    local tag
    export DOCKER_HOST=unix:///var/run/docker.sock
    cp images/node.Dockerfile "$work/"
    docker buildx --builder default build --quiet --load --provenance=false --network none --build-arg "BASE=$REGISTRY/esb-python:3.11" \
        --file "$work/node.Dockerfile" --tag "$REGISTRY/$node_image" --tag "$REGISTRY/${node_image%:*}:inputs-$inputs" "$work"
    for tag in "$node_image" "${node_image%:*}:inputs-$inputs"; do
        docker push --quiet "$REGISTRY/$tag"
    done
}

make_node_image() {
    local inputs work
    inputs=$(node_image_digest)
    ! is_current "$node_image" || return 0

    need_root "build $node_image"
    work=$STATE/work
    rm --recursive --force --one-file-system "$work"
    mkdir -p "$work"
    step "reading the package lists" apt-get update --quiet --quiet
    step "fetching the packages of $node_image" fetch_node_packages
    step "building and pushing $REGISTRY/$node_image" build_node_image
    rm --recursive --force --one-file-system "$work"
}
