convert
convert -f testdata/cases/convert-unknown.yaml
convert -f testdata/cases/convert-pod.yaml
convert -f testdata/cases/convert-nothing.yaml
convert -f testdata/cases/convert-registries.yaml -f testdata/cases/convert-registries.yaml
convert -f testdata/cases/convert-registries.yaml --name A_b
convert x -f testdata/cases/convert-pod.yaml
convert -f testdata/cases/convert-version.yaml
convert -f testdata/cases/convert-slips.yaml
convert -f testdata/cases/convert-v1.conf
convert -f testdata/cases/convert-containerd.toml
convert -f testdata/cases/convert-type.yaml
convert -f testdata/cases/convert-fragment.yaml --never-contact-source
convert -f testdata/cases/convert-nowhere.yaml
