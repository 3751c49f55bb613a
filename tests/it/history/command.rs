//! `strongroom secret history` and what belongs to it.
