explain quay.io/team/app:v1 -f testdata/cases/tags.yaml -o json
explain quay.io/team/app:v1 -f testdata/cases/tags.yaml -o name
explain digests-only.example/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/tags.yaml -o yaml
