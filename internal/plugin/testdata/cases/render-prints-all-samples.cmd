render -f ../../config/samples
