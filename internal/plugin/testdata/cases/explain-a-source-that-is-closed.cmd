explain alpine:3.22 -f testdata/cases/closed.yaml
explain alpine@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/closed.yaml --runtime containerd
explain alpine:3.22 -f testdata/cases/closed.yaml --runtime crio -o json
explain quay.io/x:1 -f testdata/cases/closed.yaml
explain ghcr.io/team/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/closed-for-digests.yaml
