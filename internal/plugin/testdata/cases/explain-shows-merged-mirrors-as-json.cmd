explain quay.io/prometheus/node-exporter@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f ../../config/samples -o json
