"""Where blobs are kept, chunk by chunk."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
)

from lairchat.storage.schema import metadata

blobs = Table(
    "blobs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("owner", Integer, ForeignKey("users.id"), nullable=False, index=True),
    Column("blob", LargeBinary(16), nullable=False),
    Column("total", Integer, nullable=False),
    Column("received", Integer, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("owner", "blob", name="uq_blobs_owner_blob"),
)

blob_chunks = Table(
    "blob_chunks",
    metadata,
    Column("blob", Integer, ForeignKey("blobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
