"""Makes the tables, a user and so many completed files: python -m benchmarks.plain.seed USERNAME PASSWORD FILES"""

from __future__ import annotations

import sys

import bcrypt

from benchmarks.plain.models import FOLDER, Base, File, Organization, Session, User, engine, now


def main(username: str, password: str, count: int) -> None:
    (FOLDER / "incoming").mkdir(exist_ok=True)
    Base.metadata.create_all(engine)
    with Session() as session:
        organization = Organization(name="Benchmark")
        session.add(organization)
        session.flush()
        # The cost of the hash is not what is compared.
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        user = User(organization_id=organization.id, username=username, password_hash=hashed)
        session.add(user)
        session.flush()
        session.add_all(
            File(
                organization_id=organization.id,
                uploaded_by_id=user.id,
                filename="report.pdf",
                status="completed",
                file_size=1000,
                declared_type="application/pdf",
                mime_type="application/pdf",
                sha256_hash="0" * 64,
                processed_at=now(),
            )
            for _ in range(count)
        )
        session.commit()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
