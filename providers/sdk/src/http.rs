//! The HTTP client that all HTTP plugins share.
