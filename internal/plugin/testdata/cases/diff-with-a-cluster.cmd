diff -f ../../config/samples {cluster}
