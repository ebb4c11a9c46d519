render -f ../../config/samples -o certs.d
render -f ../../config/samples --output-dir {dir}
render -f ../../config/samples -o toml
render -f ../../config/samples -o certs.d --output-dir {dir} --redirector-port 0
render -f ../../config/samples -o certs.d --output-dir ../../config/samples/10-site.yaml
