"""What is kept of hunts from one day to the next: a file of SQLite's in the folder `.lab/` of the project.

`folder` says where and whether, `file` opens the file, `tables` says what stands in it, `store` reads and writes hunts
and `known` the violations that are known. `keeping` is a hunt's pen, `frozen` and `resume` let one go on, `replayed`
tries what is known before the next hunt.
"""
