//! Compiling 1 MB of spec against the `kdl` crate's own parse of the same text.
//!
//! ```text
//! cargo run --release -p tally-lang --example compile_bench [MEGABYTES]
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench reads the clock, prints, and may stop"
)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tally_lang::{MemoryLoader, compile, parse};
use tally_source::FileId;

/// Returns a spec of about that number of bytes: controllers, pods, volumes and services as people write them.
fn spec(bytes: usize) -> String {
    let mut out = String::from("cluster bench\n");
    let mut i = 0;
    while out.len() < bytes {
        let _ = write!(
            out,
            r#"
// Number {i}.
volume data-{i}
controller web-{i}x replicas=3 {{
    label app=shop-{i} tier=frontend
    depends-on pod db-{i}x
    volume cache
    container web image="registry.example.com/shop/web:{i}" {{
        command "./serve" "--port=8080" "--verbose"
        port http 8080
        env LOG_LEVEL=info {{
            DB_HOST db-{i}x
            APP_VERSION 3.10
        }}
        mount cache "/var/cache/web"
        resources cpu=0.5 memory="256MiB" max-memory="512MiB"
        readiness every="5s" {{ command "true" }}
        stop signal=SIGTERM grace="20s"
    }}
}}
pod db-{i}x {{
    container postgres image="postgres:16" {{
        port postgres 5432
        mount data-{i} "/var/lib/postgresql"
    }}
}}
service web-{i}x {{ select app=shop-{i} tier=frontend; port http 80 }}
"#
        );
        i += 1;
    }
    out
}

fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() {
    let megabytes: f64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let text = spec((megabytes * 1e6) as usize);
    let mut loader = MemoryLoader::single("tally.kdl", &text);
    let (mut kdl, mut own, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..7 {
        kdl.push(time(|| kdl::KdlDocument::parse_v2(&text).expect("valid KDL")).0);
        own.push(time(|| parse(FileId(0), &text)).0);
        let (took, compiled) = time(|| compile("tally.kdl", &mut loader));
        whole.push(took);
        let first = compiled.diagnostics.first().map(|found| found.headline.clone());
        assert_eq!(first, None, "the spec of the bench is wrong");
    }
    let (kdl, own, whole) = (median(kdl), median(own), median(whole));
    println!("spec:                    {:.2} MB", text.len() as f64 / 1e6);
    println!("kdl crate, parse only:   {:.1} ms", kdl.as_secs_f64() * 1e3);
    println!("our parser, parse only:  {:.1} ms", own.as_secs_f64() * 1e3);
    println!("compile, text to graph:  {:.1} ms", whole.as_secs_f64() * 1e3);
    println!("compile / kdl parse:     {:.3}", whole.as_secs_f64() / kdl.as_secs_f64());
}
