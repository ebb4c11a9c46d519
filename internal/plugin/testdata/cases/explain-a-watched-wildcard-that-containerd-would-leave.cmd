explain a.corp.example/x:1 -f testdata/cases/shadow-wildcard.yaml --runtime containerd
explain a.corp.example/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/shadow-wildcard.yaml --runtime containerd
explain a.corp.example/x:1 -f testdata/cases/shadow-wildcard.yaml --runtime containerd --allow-default-host
