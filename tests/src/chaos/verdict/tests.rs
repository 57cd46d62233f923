//! Each finding can be found.
