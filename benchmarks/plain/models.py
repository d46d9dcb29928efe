"""Tables, and the engine. DATA_FOLDER says where the database and the files are."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import ForeignKey, Index, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

FOLDER = Path(os.environ["DATA_FOLDER"])
engine = create_engine(f"sqlite:///{FOLDER / 'plain.sqlite'}", connect_args={"timeout": 30})
Session = sessionmaker(engine, expire_on_commit=False)


@event.listens_for(engine, "connect")
def _set_pragmas(connection, _) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def new_id() -> str:
    return str(uuid.uuid4())


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Base(DeclarativeBase):
    pass


class Organization(Base):
    __tablename__ = "organizations"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]


class User(Base):
    __tablename__ = "users"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    username: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


class LoginSession(Base):
    __tablename__ = "sessions"
    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    expires_at: Mapped[float]
    user: Mapped[User] = relationship(lazy="joined")


class File(Base):
    __tablename__ = "files"
    __table_args__ = (Index("files_newest", "organization_id", "created_at", "id"),)
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    uploaded_by_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    filename: Mapped[str]
    status: Mapped[str] = mapped_column(default="pending")
    file_size: Mapped[int]
    declared_type: Mapped[str | None]
    mime_type: Mapped[str | None]
    sha256_hash: Mapped[str | None]
    created_at: Mapped[str] = mapped_column(default=now)
    processed_at: Mapped[str | None]
    error_message: Mapped[str | None]
    uploaded_by: Mapped[User] = relationship(lazy="select")

    def to_json(self) -> dict:
        return {
            "id": self.id,
            "filename": self.filename,
            "status": self.status,
            "file_size": self.file_size,
            "declared_type": self.declared_type,
            "mime_type": self.mime_type,
            "sha256_hash": self.sha256_hash,
            "created_at": self.created_at,
            "processed_at": self.processed_at,
        }
