explain b.corp.example/x:1 -f testdata/cases/wildcards.yaml --runtime containerd
explain b.corp.example/x:1 -f testdata/cases/wildcards.yaml --runtime containerd --allow-default-host
