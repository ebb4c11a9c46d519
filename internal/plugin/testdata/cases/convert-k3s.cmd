convert -f testdata/cases/convert-k3s
convert -f testdata/cases/convert-k3s --never-contact-source
