# The images: `gateway` and `operator` are what is shipped, `testkit` is for the tests and the demo. Each holds static programs and nothing else.
# `scripts/image` builds them all; by hand: docker build --target gateway -t mudgateway .
# They run as a number, not root, write nowhere, and need no writable file system; tests/images looks at all that.

# On the processor of the machine that builds, for the one that is asked for (docker build --platform).
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS builder
ARG TARGETARCH
RUN [ "$TARGETARCH" = "$(dpkg --print-architecture)" ] || { apt-get update && \
    case "$TARGETARCH" in arm64) cross=aarch64 ;; amd64) cross=x86-64 ;; esac && \
    apt-get install -y --no-install-recommends "gcc-$cross-linux-gnu" "libc6-dev-$TARGETARCH-cross"; }
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    IMAGE_ARCH=$([ "$TARGETARCH" = arm64 ] && echo aarch64 || echo x86_64) scripts/image --compile /out

FROM scratch AS base
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.source="https://github.com/mudgateway/mudgateway" \
      org.opencontainers.image.documentation="https://github.com/mudgateway/mudgateway/tree/main/docs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# By number, as there is no list of users here and runAsNonRoot wants a number.
USER 65532:65532

FROM base AS testkit
LABEL org.opencontainers.image.title="mudgateway-testkit" \
      org.opencontainers.image.description="An Intermud-3 router and a client for tests of mudgateway; not for production"
COPY --from=builder /out/i3-router /out/mudclient /
CMD ["/i3-router"]

FROM base AS operator
LABEL org.opencontainers.image.title="mudgateway-operator" \
      org.opencontainers.image.description="Turns MudGateway resources into gateway pods"
COPY --from=builder /out/mudgateway-operator /
# Health and metrics.
EXPOSE 9090
HEALTHCHECK --interval=10s --timeout=5s CMD ["/mudgateway-operator", "probe"]
ENTRYPOINT ["/mudgateway-operator"]

FROM base AS gateway
LABEL org.opencontainers.image.title="mudgateway" \
      org.opencontainers.image.description="Holds a MUD's Intermud-3 session and serves it as JSON-RPC"
COPY --from=builder /out/mudgateway /
# WebSocket and HTTP, JSON-RPC over TCP, health and metrics.
EXPOSE 8080 8081 9090
HEALTHCHECK --interval=10s --timeout=5s CMD ["/mudgateway", "probe"]
ENTRYPOINT ["/mudgateway"]
