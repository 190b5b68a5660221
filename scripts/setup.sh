#!/usr/bin/env bash
# Make .venv from requirements-dev.lock, or do nothing when it already holds what the lock says.
# Needs python3 >= 3.11 with its venv module; as root on Debian it installs the missing package, else it names it.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() { # print the first interpreter that is new enough; $PYTHON overrides the search
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

debian_install() { # debian_install PACKAGE...: as root, without pulling in or removing anything else
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        return 1
    fi
    echo "setup: installing $*"
    # Another apt, such as an unattended upgrade, may be at it.
    apt-get -o DPkg::Lock::Timeout=300 update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends --no-remove "$@" >/dev/null
}

if ! python=$(find_python); then
    debian_install python3 python3-venv || true
    python=$(find_python) || {
        echo "setup: needs python3 >= 3.11, found: $("${PYTHON:-python3}" --version 2>/dev/null || echo none)." \
            "On Debian: apt-get install python3 python3-venv" >&2
        exit 1
    }
fi

# Debian splits ensurepip out of python3: `import venv` works there, but it cannot make an environment with pip.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    debian_install "python$version-venv" || {
        echo "setup: $python has no venv module. On Debian: apt-get install python$version-venv" >&2
        exit 1
    }
fi

# What .venv is made from. A change of any of it makes the environment stale.
inputs=$(cat requirements-dev.lock pyproject.toml scripts/setup.sh | "$python" -c \
    'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
stamp=.venv/leadline-setup.sha256

compile_sources() { # Processes that may not write bytecode would compile every module anew, at every start.
    .venv/bin/python -m compileall -q services operator || true
}

if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ] && .venv/bin/python -c '' 2>/dev/null; then
    compile_sources
    exit 0
fi

if ! .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "setup: making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
echo "setup: installing the locked packages"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
# Hatchling comes from the lock, so building the editable install downloads nothing.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
compile_sources
echo "$inputs" >"$stamp"
echo "setup: .venv is ready"
