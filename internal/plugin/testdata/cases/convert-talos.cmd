convert -f testdata/cases/convert-talos.yaml
