explain quay.io/prometheus/prometheus@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef {cluster}
explain ghcr.io/example/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef {cluster} -o json
explain alpine@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef {cluster}
explain u.example/x {cluster}
explain tags.example/x:1 {cluster}
