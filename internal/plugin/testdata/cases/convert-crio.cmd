convert -f testdata/cases/convert-crio
convert -f testdata/cases/convert-crio/registries.conf.d/20-moved.conf
convert -f testdata/cases/convert-crio/registries.conf.d
convert -f testdata/cases/convert-crio/registries.conf
