explain ghcr.io/example/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/shadow.yaml
explain ghcr.io/example/app:1 -f testdata/cases/shadow.yaml --strict
explain ghcr.io/example/app:1 -f testdata/cases/shadow.yaml --runtime crio
explain ghcr.io/example/app:1 -f testdata/cases/shadow.yaml --runtime containerd -o yaml
explain ghcr.io/example/free/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/shadow.yaml
explain registry.old.example/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/shadow.yaml
explain quay.io/team/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/shadow.yaml
explain quay.io/team/app:1 -f testdata/cases/shadow.yaml
explain ghcr.io/example/app:1 -f testdata/cases/shadow-misspelt.yaml
explain registry.lost.example/team/app:1 -f testdata/cases/shadow-lost.yaml
