-- The store's tables, in the dialect that SQLite and PostgreSQL share: BIGINT, TEXT and BYTEA
-- only; times are seconds since 1970; JSON is TEXT; `…_sealed` columns hold envelopes
-- (envelope.rs).

-- Proof that the master key at hand is the one this database was sealed with.
CREATE TABLE master_keys (
    version BIGINT NOT NULL PRIMARY KEY,
    proof_sealed BYTEA NOT NULL
);

CREATE TABLE accounts (
    ca TEXT NOT NULL,
    label TEXT NOT NULL,
    url TEXT,
    key_sealed BYTEA NOT NULL,
    next_key_sealed BYTEA,
    contacts TEXT NOT NULL,
    eab_kid TEXT,
    status TEXT NOT NULL,
    terms_agreed TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (ca, label)
);

CREATE TABLE certificates (
    name TEXT NOT NULL PRIMARY KEY,
    names TEXT NOT NULL,
    request TEXT NOT NULL,
    created BIGINT NOT NULL,
    -- The version that is in use; 0 before the first.
    current_version BIGINT NOT NULL,
    renewal_start BIGINT,
    renewal_end BIGINT,
    renewal_chosen BIGINT,
    renewal_explanation TEXT,
    renewal_next_look BIGINT,
    failing_since BIGINT,
    failed_attempts BIGINT,
    next_try BIGINT,
    -- Until then resolvers may remember what the CA saw when it looked in vain.
    stale_until BIGINT,
    last_error TEXT
);

CREATE TABLE certificate_versions (
    name TEXT NOT NULL,
    number BIGINT NOT NULL,
    order_id TEXT NOT NULL,
    -- What it is for, which need not be what is asked for now.
    names TEXT NOT NULL,
    key_type TEXT,
    chain_pem TEXT NOT NULL,
    key_sealed BYTEA,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    serial TEXT NOT NULL,
    issuer TEXT NOT NULL,
    ca TEXT NOT NULL,
    account_label TEXT NOT NULL,
    renewal_id TEXT,
    issued_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (name, number)
);

CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    certificate TEXT NOT NULL,
    ca TEXT NOT NULL,
    account_label TEXT NOT NULL,
    -- As the caller gave them (JSON), and sorted and joined for looking an order up.
    names TEXT NOT NULL,
    name_set TEXT NOT NULL,
    profile TEXT,
    replaces TEXT,
    key_sealed BYTEA,
    csr BYTEA,
    url TEXT,
    state TEXT NOT NULL,
    error TEXT,
    steps TEXT NOT NULL,
    created BIGINT NOT NULL,
    finished BIGINT
);
CREATE INDEX orders_by_name_set ON orders (name_set, state);
CREATE INDEX orders_by_certificate ON orders (certificate, created);

CREATE TABLE ca_back_offs (
    ca TEXT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL,
    reason TEXT NOT NULL
);

-- Processes that may hold something. One is alive while its lock file is locked (owner.rs).
CREATE TABLE owners (
    id TEXT NOT NULL PRIMARY KEY,
    pid BIGINT NOT NULL,
    started BIGINT NOT NULL
);

-- An empty owner means free. The fencing number grows with every claim.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    fence BIGINT NOT NULL
);

-- Every TXT value that may exist because of us (records/ledger.rs).
CREATE TABLE ledger (
    -- Digest of credential, zone, name and value.
    id TEXT NOT NULL PRIMARY KEY,
    credential TEXT NOT NULL,
    zone TEXT NOT NULL,
    zone_id TEXT,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    ttl BIGINT NOT NULL,
    created BIGINT NOT NULL,
    confirmed BIGINT
);
CREATE INDEX ledger_by_zone ON ledger (credential, zone);

-- Who needs it. A row of the ledger without a holder is to be removed.
CREATE TABLE ledger_holders (
    ledger_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    hold TEXT NOT NULL,
    order_id TEXT NOT NULL,
    PRIMARY KEY (ledger_id, owner, hold)
);
CREATE INDEX ledger_holders_by_owner ON ledger_holders (owner);
