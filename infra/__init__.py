"""What deploys and operates Strongroom. Never imported by chalicelib."""

VERSION = "0.1.0"
