# The commands of every day. CI (.ci/run) runs those of `check` and `test`, one by one.

# Show this list.
default:
    @just --list --unsorted

# What must hold before a change lands, but for the tests.
check:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
    if command -v cargo-deny >/dev/null; then cargo deny --locked check bans licenses sources; fi

# All tests, with the genuine clients (installed into a cache if they are missing).
test *ARGUMENTS:
    eval "$(.ci/clients)" && cargo test --locked {{ ARGUMENTS }}

# Take what the tests found as the expected output from now on; review the difference before you commit it.
accept:
    STRONGROOM_ACCEPT=1 cargo test --locked
    git diff --stat

# Write the OpenAPI document that people read and Swagger UI shows.
openapi:
    STRONGROOM_ACCEPT=1 cargo test --locked openapi
    git diff --stat -- openapi

# Start a server in ./home.
run *ARGUMENTS:
    cargo run --locked --release -- serve --home home {{ ARGUMENTS }}

# Make a home that is kept: the next release's tests open it (tests/it/homes/README.md).
home NAME:
    cargo build --locked
    tests/it/homes/make target/debug/strongroom {{ NAME }}

# Measure against a bare handler and against OpenBao.
bench *ARGUMENTS:
    cargo bench --locked --bench against -- {{ ARGUMENTS }}

# What a decision costs among 1,000 Roles and 1,000 RoleBindings.
bench-decide:
    cargo bench --locked --bench decide

# The long form of the tests of which CI takes a sample: 1,000 kills, each failpoint 20 times, every page, every frame.
faults *ARGUMENTS:
    STRONGROOM_TEST_KILLS=1000 STRONGROOM_TEST_FAILPOINTS=20 STRONGROOM_TEST_PLACES=all STRONGROOM_TEST_LONG=1 \
        cargo test --locked --test it -- faults:: crash:: a_plugin_that_stays_away --nocapture {{ ARGUMENTS }}
