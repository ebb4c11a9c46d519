convert -f testdata/cases/convert-registries.yaml
