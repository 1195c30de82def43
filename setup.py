"""Says which packages are installed: those of the lab, and the shipped scenarios inside them as `lab/demo/scenarios`.

Not in pyproject.toml, which can either find packages or list them, and this is both.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["lab", "lab.*"]), "lab.demo.scenarios"],
    package_dir={"lab.demo.scenarios": "scenarios"},
)
