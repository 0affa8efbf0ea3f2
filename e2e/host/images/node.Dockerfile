# What containerd mode needs of a host, on top of Python. Context: what e2e/host/node_image.sh collects.
ARG BASE
FROM ${BASE}
RUN --mount=type=bind,source=debs,target=/mnt/debs \
    dpkg --unpack --no-triggers --path-exclude='/usr/share/doc/*' --path-exclude='/usr/share/man/*' /mnt/debs/*.deb \
    && DEBIAN_FRONTEND=noninteractive dpkg --configure --pending
