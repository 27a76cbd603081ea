//! The conformance suite: the promises of [`DnsProvider`](crate::DnsProvider), proved for a provider.
