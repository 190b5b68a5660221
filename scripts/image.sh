#!/usr/bin/env bash
# Build the image with docker, podman or buildah, whichever works here, and say how large it is.
#   IMAGE=name:tag (localhost/leadline:dev)   BASE=image with Python (the Dockerfile's)
# A pip configuration and a bundle of certificate authorities of this machine are lent to the build, and not kept.
set -euo pipefail
cd "$(dirname "$0")/.."

image=${IMAGE:-localhost/leadline:dev}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain -- services operator pyproject.toml requirements.lock Dockerfile 2>/dev/null)" ] || revision+=-dirty
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
export SOURCE_DATE_EPOCH
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "CREATED=$created")
[ -z "${BASE:-}" ] || arguments+=(--build-arg "BASE=$BASE")
for file in "${PIP_CONFIG_FILE:-}" "$HOME/.config/pip/pip.conf" /etc/pip.conf; do
    if [ -n "$file" ] && [ -f "$file" ]; then arguments+=(--secret "id=pip,src=$file"); break; fi
done
authorities=${PIP_CERT:-${SSL_CERT_FILE:-}}
[ -z "$authorities" ] || [ ! -f "$authorities" ] || arguments+=(--secret "id=ca,src=$authorities")

compressed() { # compressed COMMAND...: megabytes of what a command writes, as a registry would hold it
    "$@" | gzip -6 | wc -c | awk '{printf "%.0f MB compressed\n", $1 / 1e6}'
}

if docker info > /dev/null 2>&1; then
    docker build "${arguments[@]}" --tag "$image" .
    size=$(compressed docker save "$image")
elif command -v podman > /dev/null; then
    podman build "${arguments[@]}" --timestamp "$SOURCE_DATE_EPOCH" --tag "$image" .
    size=$(compressed podman save "$image")
elif command -v buildah > /dev/null; then
    # Without the rights to make containers, as inside of one, it works in a changed root.
    export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
    buildah bud "${arguments[@]}" --network host --timestamp "$SOURCE_DATE_EPOCH" --tag "$image" .
    archive=$(mktemp)
    trap 'rm -f "$archive"' EXIT
    buildah push --quiet "$image" "docker-archive:$archive:$image" > /dev/null
    size=$(compressed cat "$archive")
else
    echo "image: there is no docker that answers, no podman and no buildah" >&2
    exit 1
fi
echo "image: $image, $version at $revision, $size"
