# The image with the manager and the agent. It holds nothing but the two static programs, which `make image-programs` builds
# for each architecture beforehand. `make image` makes the same by hack/image, without a container engine.
FROM scratch
ARG TARGETARCH
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title=mirrorset
LABEL org.opencontainers.image.licenses=Apache-2.0
LABEL org.opencontainers.image.source=https://github.com/mirrorset/mirrorset
LABEL org.opencontainers.image.version=${VERSION}
LABEL org.opencontainers.image.revision=${REVISION}
COPY bin/linux-${TARGETARCH}/manager bin/linux-${TARGETARCH}/agent /
USER 65532:65532
ENTRYPOINT ["/manager"]
