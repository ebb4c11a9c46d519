explain c.corp.example/other@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/wildcards.yaml --runtime containerd
