"""What deploys and operates Strongroom. Never imported by chalicelib."""

APPLICATION = "strongroom"
VERSION = "0.1.0"
