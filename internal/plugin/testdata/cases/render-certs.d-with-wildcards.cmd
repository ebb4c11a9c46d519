render -f testdata/cases/wildcards.yaml -o certs.d --output-dir {dir}
render -f testdata/cases/wildcards.yaml -o certs.d --output-dir {dir} --allow-default-host --redirector-port 290
