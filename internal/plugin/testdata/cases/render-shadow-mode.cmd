render -f testdata/cases/shadow.yaml
render -f testdata/cases/shadow.yaml -o certs.d --output-dir {dir} --strict
render -f testdata/cases/shadow-lost.yaml -o certs.d --output-dir {dir}/lost
