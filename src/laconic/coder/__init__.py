"""Operations <-> words (`push` / `pop`): entropy coding proper, which knows nothing of what it codes."""

from __future__ import annotations
