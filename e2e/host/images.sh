# shellcheck shell=bash
# The base images, made here because no registry can be asked, and pushed to the local one. A digest of what they are
# made from is a tag beside the name that others use: when both name the same manifest, there is nothing to do.

images=(lambda-python:3.12 esb-python:3.11)
image_inputs=(images.sh images/Dockerfile images/bootstrap images/lambda-entrypoint.sh images/requirements.txt)
image_packages=python3,python3-venv,python3-pip,ca-certificates
manifest_types='application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json'

# manifest_of NAME:TAG: the manifest's digest in the registry, nothing when it isn't there.
manifest_of() {
    curl --silent --fail --head --max-time 10 --header "Accept: $manifest_types" "http://$REGISTRY/v2/${1%:*}/manifests/${1##*:}" |
        tr --delete '\r' | awk 'tolower($1) == "docker-content-digest:" { print $2 }'
}

is_current() {
    local named made
    named=$(manifest_of "$1" || true)
    made=$(manifest_of "${1%:*}:inputs-$inputs" || true)
    [ -n "$named" ] && [ "$named" = "$made" ]
}

make_file_system() {
    # The machine's own settings reach the mirror (proxies, certificates); none of them stays in the image.
    apt-config dump | grep '^Acquire::' >"$work/apt.conf" || true
    debian_sources | while read -r uri suite; do
        echo "deb [signed-by=$keyring] $uri $suite main"
    done >"$work/sources.list"
    grep --quiet . "$work/sources.list"
    # shellcheck disable=SC2016  # $1 is mmdebstrap's
    SOURCE_DATE_EPOCH=0 mmdebstrap --variant=minbase --include="$image_packages" --aptopt="$work/apt.conf" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='rm -rf "$1/etc/apt/sources.list" "$1/etc/apt/sources.list.d" "$1/etc/apt/apt.conf.d/99mmdebstrap"' \
        --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED "$1/etc/hostname" "$1/etc/resolv.conf"' \
        --customize-hook='rm -rf "$1"/var/log/* "$1"/var/cache/*; touch "$1/etc/hostname" "$1/etc/resolv.conf"' \
        --customize-hook='ln -s python3 "$1/usr/bin/python"' \
        bookworm "$work/rootfs.tar" "$work/sources.list"
}

fetch_wheels() {
    local machine
    install_pip
    machine=$(uname --machine)
    python3 -m pip download --quiet --no-deps --require-hashes --only-binary :all: --implementation cp --python-version 3.11 \
        --platform "manylinux2014_$machine" --platform "manylinux_2_28_$machine" --platform any \
        --dest "$work/wheels" --requirement images/requirements.txt
    [ "$machine" = aarch64 ] && machine=arm64
    python3 -m zipfile --extract "$work"/wheels/aws_sam_cli-*.whl "$work/sam"
    mv "$work/sam/samcli/local/rapid/aws-lambda-rie-$machine" "$work/aws-lambda-rie"
    rm --recursive "$work"/wheels/aws_sam_cli-*.whl "$work/sam"
}

build_and_push() {
    local image=$1 tag
    export DOCKER_HOST=unix:///var/run/docker.sock
    cp images/Dockerfile images/bootstrap images/lambda-entrypoint.sh "$work/"
    docker buildx --builder default build --quiet --load --provenance=false --network none --target "${image%:*}" --label "io.esb.e2e.inputs=$inputs" \
        --tag "$REGISTRY/$image" --tag "$REGISTRY/${image%:*}:inputs-$inputs" "$work"
    # The name others use comes first: while the other is missing the image counts as not made.
    for tag in "$image" "${image%:*}:inputs-$inputs"; do
        docker push --quiet "$REGISTRY/$tag"
    done
}

make_images() {
    local image old=() inputs work
    inputs=$({ uname --machine && cat "${image_inputs[@]}"; } | sha256sum | cut --characters 1-16)
    for image in "${images[@]}"; do
        is_current "$image" || old+=("$image")
    done
    [ ${#old[@]} -gt 0 ] || return 0

    need_root "build ${old[*]}"
    trap drop_policy EXIT
    work=$STATE/work
    rm --recursive --force --one-file-system "$work"
    mkdir -p "$work"
    step "making a Debian file system" make_file_system
    step "fetching wheels and the runtime interface emulator" fetch_wheels
    for image in "${old[@]}"; do
        step "building and pushing $REGISTRY/$image" build_and_push "$image"
    done
    rm --recursive --force --one-file-system "$work"
    drop_policy
    trap - EXIT
}
