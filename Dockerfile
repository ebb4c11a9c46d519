# The image with the manager and the agent. It holds nothing but the two static programs, which `make image-programs` builds
# for each architecture beforehand; `make image` builds the same image without any container engine.
FROM scratch
ARG TARGETARCH
COPY bin/linux-${TARGETARCH}/manager bin/linux-${TARGETARCH}/agent /
USER 65532:65532
ENTRYPOINT ["/manager"]
