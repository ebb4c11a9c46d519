explain registry.redhat.io/ubi9/ubi@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f ../../config/samples
