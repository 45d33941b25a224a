"""HTDemucs: a mix to vocals, drums, bass and the rest."""
