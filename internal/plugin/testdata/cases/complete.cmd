__complete explain --runtime c
__complete explain -o w
__complete render -o r
__complete diff -o t
__complete explain a
