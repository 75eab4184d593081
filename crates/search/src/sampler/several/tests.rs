//! Histories of several objectives.
