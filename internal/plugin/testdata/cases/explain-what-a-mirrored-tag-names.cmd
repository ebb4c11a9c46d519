explain quay.io/team/app:v1 -f testdata/cases/tags.yaml --runtime containerd
explain closed.example/app:v1 -f testdata/cases/tags.yaml --runtime containerd
explain tags-only.example/app:v1 -f testdata/cases/tags.yaml --runtime containerd
explain same.example/app:v1 -f testdata/cases/tags.yaml --runtime containerd
explain quay.io/team/app:v1 -f testdata/cases/tags.yaml --runtime containerd -o json
