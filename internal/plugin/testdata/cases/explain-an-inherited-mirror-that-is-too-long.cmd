explain quay.io/a-namespace-with-a-name-of-its-own/and-a-repository:1 -f testdata/cases/long.yaml
