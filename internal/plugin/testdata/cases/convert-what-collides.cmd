convert -f testdata/cases/convert-what-collides.yaml
