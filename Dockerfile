# syntax=docker/dockerfile:1
# Strongroom in a container: no shell, no root, a root file system that may be read-only.
#
#   docker build -t strongroom .
#   docker run --read-only -p 127.0.0.1:8443:8443 -v strongroom-data:/data -v strongroom-keys:/keys strongroom \
#       serve --advertise 127.0.0.1:8443
#
# Data and key lie in two volumes, so that a copy of one is not a copy of both.

FROM rust:1.95.0-slim-bookworm AS build
# The image has this very toolchain; rust-toolchain.toml would fetch components that a build does not need.
ENV RUSTUP_TOOLCHAIN=1.95.0 CARGO_TERM_COLOR=never
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --bin strongroom \
    && install -m 0755 target/release/strongroom /strongroom
RUN mkdir -p /volumes/data /volumes/keys

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /strongroom /usr/local/bin/strongroom
# A new volume takes over owner and mode of the directory it is mounted on.
COPY --from=build --chown=65532:65532 --chmod=0700 /volumes/data /data
COPY --from=build --chown=65532:65532 --chmod=0700 /volumes/keys /keys
USER 65532:65532
# Variables, not flags: a secret mounted at /run/secrets/strongroom-unlock goes before the key file in /keys.
ENV STRONGROOM_HOME=/data \
    STRONGROOM_KEY_FILE=/keys/unlock.key \
    STRONGROOM_LISTEN=0.0.0.0:8443
VOLUME ["/data", "/keys"]
EXPOSE 8443
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/strongroom", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/strongroom"]
CMD ["serve"]
