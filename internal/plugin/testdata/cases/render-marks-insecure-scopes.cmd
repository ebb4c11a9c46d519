render -f ../../config/samples --insecure-registry registry.site.example:5000 --insecure-registry *.redhat.io
