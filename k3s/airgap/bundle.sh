#!/usr/bin/env bash
# Put everything that a K3s without a network needs for Leadline into one directory.
#
#   k3s/airgap/bundle.sh DIRECTORY                  charts, manifests, configuration and the image
#   k3s/airgap/bundle.sh --without-images DIRECTORY all but the image, where the nodes have it already
#
# The image must be on this machine, in docker, podman or buildah: make image IMAGE=localhost/leadline:0.1.0
# K3s itself, its installer and its own images are not in it: take them from its release, as its documentation says.
set -euo pipefail

images=yes
if [ "${1:-}" = --without-images ]; then
    images=no
    shift
fi
[ $# = 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

mkdir -p "$out/charts" "$out/manifests" "$out/images"
cp k3s/manifests/*.yaml "$out/manifests/"
cp k3s/config.yaml.d/10-leadline.yaml k3s/registries.yaml.example k3s/psa.yaml k3s/audit-policy.yaml "$out/"
cp -r k3s/values "$out/"

pack() { # pack CHART: as `helm package` does, the same bytes each time
    local version
    version=$(sed -n 's/^version: *//p' "helm/$1/Chart.yaml")
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --exclude='ci' -C helm -cf - "$1" \
        | gzip -9n >"$out/charts/$1-$version.tgz"
}
pack leadline-crds
pack leadline

save() { # save IMAGE FILE: from whichever tool has it
    local tool
    for tool in docker podman; do
        if command -v "$tool" >/dev/null && "$tool" image inspect "$1" >/dev/null 2>&1; then
            "$tool" save "$1" -o "$2"
            return
        fi
    done
    if command -v buildah >/dev/null && buildah inspect --type image "$1" >/dev/null 2>&1; then
        buildah push --quiet "$1" "docker-archive:$2:$1" >/dev/null
        return
    fi
    echo "bundle: $1 is not on this machine: make image IMAGE=$1" >&2
    exit 1
}
if [ "$images" = yes ]; then
    while read -r image; do
        file="$out/images/$(echo "$image" | tr '/:@' '___').tar"
        rm -f "$file"
        save "$image" "$file"
    done <k3s/images.txt
fi

(cd "$out" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum >SHA256SUMS)
echo "bundle: $out, $(du -sh "$out" | cut -f1)"
