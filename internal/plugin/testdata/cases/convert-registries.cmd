convert -f testdata/cases/convert-registries.yaml
convert -f testdata/cases/convert-registries.yaml --never-contact-source --name 10-site
