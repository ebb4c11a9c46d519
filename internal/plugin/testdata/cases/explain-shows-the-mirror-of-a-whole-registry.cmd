explain quay.io/libpod/busybox@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f ../../config/samples
