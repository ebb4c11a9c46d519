explain quay.io/prometheus/prometheus:v3 -f ../../config/samples --runtime containerd
explain quay.io/prometheus/prometheus:v3 -f ../../config/samples --runtime containerd -o json
