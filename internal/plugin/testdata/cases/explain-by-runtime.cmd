explain a.corp.example/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/wildcards.yaml
explain a.corp.example/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/wildcards.yaml --runtime crio
explain a.corp.example/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/wildcards.yaml --runtime crio -o json
explain a.corp.example/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/wildcards.yaml --runtime containerd
