convert -f testdata/cases/convert-policies.yaml
