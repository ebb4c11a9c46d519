convert -f testdata/cases/convert-certs.d
convert -f testdata/cases/convert-certs.d/quay.io
convert -f testdata/cases/convert-certs.d/quay.io/hosts.toml -f testdata/cases/convert-certs.d/docker.io
