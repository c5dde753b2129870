//! The time of `compile` for texts that repeat one form, at a size and at twice that size.
//!
//! ```text
//! cargo run --release -p tally-lang --example compile_scaling [BYTES [FORM]]
//! ```
//!
//! It prints the forms that take more than 2.6 times as long for twice the text, or 10 seconds, and then ends with 1.
//! Linear work takes twice as long; sorting a little more.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench reads the clock, prints, and may stop"
)]

use std::time::{Duration, Instant};

use tally_lang::{MemoryLoader, compile};

/// The maximum of the time for twice the text divided by the time for the text.
const MOST: f64 = 2.6;

/// A shorter time is not measured exactly enough.
const LEAST: Duration = Duration::from_millis(40);

/// Forms of one line that are repeated as they are.
const UNITS: [&str; 48] = [
    "{",
    "}",
    ";",
    "\"",
    "'",
    "#",
    "/",
    "\\",
    "(",
    "[",
    "`",
    "$",
    ",",
    "=",
    "-",
    "/-",
    "/*",
    "{}",
    "} {",
    "\n}",
    "\n {",
    "\u{feff}",
    "\u{202e}",
    "[a,",
    "a: b;",
    "'a ",
    "a=",
    "a \"x\"y;",
    "a \"\"\"\n",
    "a b=c=d ",
    "- a;",
    "a ${",
    "a{}b{}",
    "a,",
    "x \\\n",
    "#yes ",
    "a b=[",
    "a/b ",
    "//\n#\n",
    "a \"\\q\"\n",
    "a 'b' c\n",
    "use \"./a\"\n",
    "<<<<<<< a\n",
    "a: b\n",
    "[a]\n",
    "\u{201c}a ",
    "\r\n",
    "a {",
];

/// Parts of one text.
const TEXTS: [&str; 7] = ["${", "$${", "${secret.", "${secret.a}", "\\n", "\\q", "\\u{41}"];

/// The parts of a form: the text before, the repeated text with the number, and the text after.
type Form = (&'static str, String, Box<dyn Fn(usize) -> String>, &'static str);

fn lines(name: &'static str, each: impl Fn(usize) -> String + 'static) -> Form {
    (name, "cluster c { host a \"sim:a\" { label zone=z } }\n".into(), Box::new(each), "")
}

fn forms() -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    for unit in UNITS {
        forms.push((unit, String::new(), Box::new(move |_| unit.to_owned()), ""));
        let cluster = "cluster c\n".to_owned();
        forms.push((unit, cluster, Box::new(move |_| unit.to_owned()), ""));
    }
    for text in TEXTS {
        for field in ["env A=", "workdir ", "user ", "image ", "command ", "sysctl x="] {
            let before = format!("cluster c\npod p {{ container c image=\"x\" {{ {field}\"");
            forms.push((text, before, Box::new(move |_| text.to_owned()), "\" } }\n"));
        }
    }
    for unit in [" image=1", " A=1", " b", " \"a b\"", " a:", " 1", " x=\"${\""] {
        for node in ["env", "label", "resources", "command", "mount", "port", "stop", "file"] {
            let before = format!("cluster c\npod p {{ container c image=\"x\" {{ {node}");
            forms.push((
                unit,
                before,
                Box::new(move |i| unit.replace('A', &format!("A{i}"))),
                " } }\n",
            ));
        }
    }
    forms.extend(declarations());
    forms.extend(contents());
    forms
}

/// Declarations at the top, by number.
fn declarations() -> Vec<Form> {
    vec![
        lines("pods", |i| format!("pod p{i}x {{ container c image=\"x\" }}\n")),
        lines("volumes", |i| format!("volume v{i}\n")),
        lines("hosts and pods that require no host", |i| {
            format!("pod p{i}x {{ place {{ require zone=y{i} }}; container c image=\"x\" }}\n")
        }),
        lines("unknown volumes", |i| {
            format!(
                "volume v{i}\npod p{i}x {{ container c image=\"x\" {{ mount w{i} \"/d\" }} }}\n"
            )
        }),
        lines("services that match nothing", |i| {
            format!(
                "pod p{i}x {{ label a=b; container c image=\"x\" }}\nservice s{i} {{ select a=c d=e; port x }}\n"
            )
        }),
        lines("services that match one", |i| {
            format!(
                "pod p{i}x {{ label a=b{i}; container c image=\"x\" {{ port x 1 }} }}\nservice s{i} {{ select a=b{i}; port x }}\n"
            )
        }),
        lines("services without a pair", |i| {
            format!(
                "pod p{i}x {{ label a=b; container c image=\"x\" }}\nservice s{i} {{ select {{ has q }}; port x }}\n"
            )
        }),
        lines("a chain", |i| {
            format!("pod p{i}x {{ depends-on pod p{}x; container c image=\"x\" }}\n", i + 1)
        }),
        lines("one name", |_| "pod p { container c image=\"x\" }\n".into()),
        lines("one host port", |i| {
            format!("pod p{i}x {{ container c image=\"x\" {{ port x 80 publish=80 }} }}\n")
        }),
        lines("host ports", |i| {
            format!(
                "pod p{i}x {{ container c image=\"x\" {{ port x 80 publish={} }} }}\n",
                i % 65_000 + 1
            )
        }),
        lines("misspelt kinds", |i| format!("pdo p{i}x {{ container c image=\"x\" }}\n")),
        lines("unknown kinds", |i| format!("thing p{i}x {{ container c image=\"x\" }}\n")),
        lines("unknown labels of a spread", |i| {
            format!("pod p{i}x {{ place {{ spread by=k{i} }}; container c image=\"x\" }}\n")
        }),
        lines("secrets", |i| {
            format!(
                "secret s{i} env=A\npod p{i}x {{ container c image=\"x\" {{ env A=\"${{secret.s{i}}}\" }} }}\n"
            )
        }),
    ]
}

/// Contents of one declaration, by number.
fn contents() -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    for (name, before, after) in [
        ("containers of a pod", "cluster c\npod p {\n", "}\n"),
        ("hosts of a cluster", "cluster c {\n", "}\n"),
        ("ports of a container", "cluster c\npod p { container c image=\"x\" {\n", "} }\n"),
        (
            "variables of a container",
            "cluster c\npod p { container c image=\"x\" { env {\n",
            "} } }\n",
        ),
        (
            "mounts of a container",
            "cluster c\nvolume v\npod p { container c image=\"x\" {\n",
            "} }\n",
        ),
        ("labels of a pod", "cluster c\npod p { container c image=\"x\"; label {\n", "} }\n"),
        (
            "ports of a service",
            "cluster c\npod p { container c image=\"x\" { port a 1 } }\nservice s { select pod=p\n",
            "}\n",
        ),
        ("hosts, each required", "cluster c {\n", "}\n"),
    ] {
        let each: Box<dyn Fn(usize) -> String> = match name {
            "containers of a pod" => Box::new(|i| format!("container c{i} image=\"x\"\n")),
            "hosts of a cluster" => {
                Box::new(|i| format!("host h{i} \"sim:h{i}\" {{ label a=b{i} }}\n"))
            }
            "ports of a container" => Box::new(|i| format!("port p{i} {}\n", i % 65_000 + 1)),
            "ports of a service" => Box::new(|i| format!("port p{i} {}\n", i % 65_000 + 1)),
            "mounts of a container" => Box::new(|i| format!("mount v \"/p{i}\"\n")),
            _ => Box::new(|i| format!("k{i} \"v{i}\"\n")),
        };
        forms.push((name, before.to_owned(), each, after));
    }
    forms
}

fn text(form: &Form, bytes: usize) -> String {
    let (_, before, each, after) = form;
    let mut text = before.clone();
    let mut i = 0;
    while text.len() < bytes {
        text.push_str(&each(i));
        i += 1;
    }
    text.push_str(after);
    text
}

/// Hosts and as many pods that require none of them.
fn hosts_and_requirements(bytes: usize) -> String {
    let count = bytes / 110;
    let hosts: String =
        (0..count).map(|i| format!("host h{i} \"sim:h{i}\" {{ label zone=z{i} }}\n")).collect();
    let pods: String = (0..count)
        .map(|i| {
            format!("pod p{i}x {{ place {{ require zone=y{i} }}; container c image=\"x\" }}\n")
        })
        .collect();
    format!("cluster c {{\n{hosts}}}\n{pods}")
}

fn time(text: &str) -> Duration {
    let run = || {
        let mut loader = MemoryLoader::single("tally.kdl", text).with("a", "");
        let start = Instant::now();
        let compiled = compile("tally.kdl", &mut loader);
        let took = start.elapsed();
        drop(compiled);
        took
    };
    run().min(run())
}

fn main() {
    let bytes: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1 << 20);
    let mut slow = 0;
    let mut judge = |name: &str, once: &str, twice: &str| {
        let (one, two) = (time(once), time(twice));
        let ratio = two.as_secs_f64() / one.as_secs_f64();
        if two >= LEAST && ratio > MOST || two > Duration::from_secs(10) {
            slow += 1;
            let start: String = once.chars().take(60).collect();
            println!("{name:?}: {one:.1?}, {two:.1?}, {ratio:.2} times as long, in {start:?}");
        }
    };
    let only = std::env::args().nth(2);
    for form in forms().into_iter().filter(|form| only.as_ref().is_none_or(|only| form.0 == only)) {
        judge(form.0, &text(&form, bytes), &text(&form, 2 * bytes));
    }
    judge(
        "hosts and requirements",
        &hosts_and_requirements(bytes),
        &hosts_and_requirements(2 * bytes),
    );
    println!("{slow} forms are slow");
    std::process::exit(i32::from(slow > 0));
}
