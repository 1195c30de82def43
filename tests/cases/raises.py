raise RuntimeError("no configuration\nin this folder")
