import os

URL = os.environ["NO_SUCH_SETTING"]
