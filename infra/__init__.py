"""What deploys and operates Strongroom. Never imported by chalicelib."""
