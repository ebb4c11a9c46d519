explain quay.io/team/app:v1 -f testdata/cases/tags.yaml
explain quay.io/team/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/tags.yaml
explain quay.io/team/app:v1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/tags.yaml
explain quay.io/other:v1 -f testdata/cases/tags.yaml
explain closed.example/app:v1 -f testdata/cases/tags.yaml
explain quay.io/team/app:v1 -f testdata/cases/tags.yaml -o wide
explain quay.io/team/app:v1 -f testdata/cases/tags.yaml --runtime crio
