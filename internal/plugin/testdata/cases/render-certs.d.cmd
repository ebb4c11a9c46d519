render -f ../../config/samples -o certs.d --output-dir {dir}/certs.d
render -f ../../config/samples -o certs.d --output-dir {dir}/certs.d
