render -f testdata/cases/shadow.yaml
render -f testdata/cases/shadow.yaml -o certs.d --output-dir {dir} --strict
