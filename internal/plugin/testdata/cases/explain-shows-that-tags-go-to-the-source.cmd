explain alpine:3.22 -f ../../config/samples
