import sys

sys.exit("not without a terminal")
