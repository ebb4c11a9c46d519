render -f ../../config/samples -o certs.d --output-dir {dir}
render -f ../../config/samples/30-airgap.yaml -o certs.d --output-dir {dir}
