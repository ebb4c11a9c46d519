convert -f testdata/cases/convert-oc-mirror
convert -f testdata/cases/convert-oc-mirror --name 20-ocp
convert -f testdata/cases/convert-oc-mirror/itms-oc-mirror.yaml --name 30-tags
convert -f testdata/cases/convert-oc-mirror/itms-oc-mirror.yaml -f testdata/cases/convert-oc-mirror/itms-oc-mirror.yaml
convert -f testdata/cases/convert-oc-mirror/itms-oc-mirror.yaml -f testdata/cases/convert-policies.yaml --name x
