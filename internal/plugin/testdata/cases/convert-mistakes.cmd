convert
convert -f testdata/cases/convert-unknown.yaml
convert -f testdata/cases/convert-pod.yaml
convert -f testdata/cases/convert-nothing.yaml
convert -f testdata/cases/convert-registries.yaml -f testdata/cases/convert-registries.yaml
convert -f testdata/cases/convert-registries.yaml --name A_b
convert x -f testdata/cases/convert-pod.yaml
convert -f testdata/cases/convert-version.yaml
