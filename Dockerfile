# The image: one static binary, the authorities it trusts, nothing to run besides. docs/image.md says how to use it;
# `make image` builds it. The first stage runs on the machine that builds, whatever the image is for: it compiles for
# TARGETARCH, so that an image for arm64 needs no emulator.
FROM --platform=$BUILDPLATFORM debian:trixie-slim AS build
ARG TARGETARCH
WORKDIR /build

# What changes least comes first: compilers, then the libraries, then our sources.
COPY scripts/static/packages.sh scripts/static/
RUN scripts/static/packages.sh "$TARGETARCH"
COPY scripts/static/dependencies.sh scripts/static/
RUN scripts/static/dependencies.sh "$TARGETARCH" /opt/static

COPY . .
# The time in the SBOM and of all files in the image: that of the release, not of the build.
ARG SOURCE_DATE_EPOCH=0
RUN scripts/static/build.sh "$TARGETARCH" /opt/static /out

# The root of the image, as one directory: one layer.
RUN install -D -m 755 /out/lockkeeper /image/usr/local/bin/lockkeeper && \
    install -D -m 644 -t /image/usr/share/lockkeeper LICENSE /out/LICENSES.txt /out/lockkeeper.spdx.json && \
    install -D -m 644 /usr/share/doc/ca-certificates/copyright /image/usr/share/lockkeeper/ca-certificates.txt && \
    install -D -m 644 -t /image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt && \
    echo 'lockkeeper:x:65532:65532:Lockkeeper:/:/sbin/nologin' >/image/etc/passwd && \
    echo 'lockkeeper:x:65532:' >/image/etc/group && \
    chmod 644 /image/etc/passwd /image/etc/group && \
    find /image -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

FROM scratch
COPY --from=build /image/ /
# OpenSSL is linked statically and would look for the authorities where Debian's keeps them.
ENV PATH=/usr/local/bin \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# The default of --migrations is relative: /migrations.
WORKDIR /
# A number, or the kubelet cannot see that it is not root.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/lockkeeper"]
CMD ["up"]

ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="lockkeeper" \
      org.opencontainers.image.description="PostgreSQL migrations for Kubernetes: locked, verified, observable" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE"
