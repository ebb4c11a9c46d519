convert -f testdata/cases/convert-install-config.yaml
convert -f testdata/cases/convert-fragment.yaml --name 40-release
convert -f testdata/cases/convert-install-config.yaml -f testdata/cases/convert-fragment.yaml
