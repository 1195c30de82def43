"""What was listed is kept, and shown again as long as nothing has changed that it depends on; see `kept`.

It loads little: all that it saves is the second in which a project and its libraries are imported.
"""
