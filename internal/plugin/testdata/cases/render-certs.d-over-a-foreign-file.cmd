render -f ../../config/samples -o certs.d --output-dir testdata/cases/foreign
