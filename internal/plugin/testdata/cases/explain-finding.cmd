explain-finding blockstagpulls
explain-finding
explain-finding Nonsense
__complete explain-finding ""
