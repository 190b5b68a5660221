# One image for everything: the services, the operator, the commands, and NATS and PostgreSQL where a chart brings them.
#
# BASE is any image with Python 3.11 or newer and its venv module. A package index or a certificate authority of one's
# own come in as the build secrets `pip` (a pip configuration) and `ca` (a bundle); neither stays in the image.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONFIG_FILE=/run/secrets/pip PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
# What builds the package comes from the lock file as well, and stays behind with this stage.
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    [ ! -f /run/secrets/ca ] || export PIP_CERT=/run/secrets/ca; \
    python3 -m venv /opt/leadline \
    && python3 -m venv /opt/build \
    && sed -n '/^\(hatchling\|packaging\|pathspec\|pluggy\|trove-classifiers\)==/,/[^\\]$/p' requirements-dev.lock > build.lock \
    && /opt/build/bin/pip install --quiet --require-hashes --no-deps --only-binary :all: -r build.lock \
    && /opt/leadline/bin/pip install --quiet --require-hashes --no-compile --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY operator/leadline_operator operator/leadline_operator
COPY services/leadline services/leadline
COPY scripts/slim.sh scripts/slim.sh
RUN /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel > /dev/null \
    && /opt/leadline/bin/pip install --quiet --no-compile --no-index --no-deps /tmp/wheel/leadline-*.whl \
    && scripts/slim.sh /opt/leadline \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/leadline/lib

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Leadline" \
      org.opencontainers.image.description="An order-flow trading platform: ticks in; bars, signals, orders and an audited book out." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# PostgreSQL asks for the name of the user that it runs as.
RUN echo "leadline:x:10001:10001::/var/lib/leadline:/usr/sbin/nologin" >> /etc/passwd \
    && echo "leadline:x:10001:" >> /etc/group \
    && mkdir -p /var/lib/leadline /etc/leadline \
    && chown 10001:10001 /var/lib/leadline
COPY --from=build /opt/leadline /opt/leadline
ENV PATH=/opt/leadline/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/leadline
ENTRYPOINT ["leadline"]
