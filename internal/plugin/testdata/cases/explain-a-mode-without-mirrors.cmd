explain tags-only.example/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/tags.yaml
explain digests-only.example/app:v1 -f testdata/cases/tags.yaml
explain quay.io/team/free/app:v1 -f testdata/cases/tags.yaml
