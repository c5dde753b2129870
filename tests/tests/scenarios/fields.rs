//! Every field that acts: applied, the second plan is empty; changed, applied, empty again. The
//! cases come from the schema table, so a new field is tested by being there.

use tally_graph::schema::{Step, UpdateClass, examples};

use crate::world::{World, both};

const FILES: &[(&str, &str)] = &[("a.kdl", ""), ("b.kdl", ""), ("a.conf", "a"), ("b.conf", "b")];

#[test]
fn after_each_field_the_second_plan_is_empty() {
    let cases: Vec<_> = examples().filter(|example| example.field.step == Step::Now).collect();
    assert!(cases.len() > 40, "the table has shrunk to {}", cases.len());
    let threads = 6;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let cases = &cases;
            scope.spawn(move || {
                for (number, case) in cases.iter().enumerate().filter(|(n, _)| n % threads == thread) {
                    let label = format!("{}.{}", case.kind.key, case.field.word);
                    both(&format!("field-{number}"), |world: World| async move {
                        check(world, &case.before, &case.after, case.field.class).await;
                    });
                    eprintln!("{label}: ok");
                }
            });
        }
    });
}

/// The cluster's name is the test's own, so that cases can run side by side.
fn own(world: &World, text: &str) -> String {
    let mut out = String::new();
    let mut found = false;
    for line in text.lines() {
        match line.strip_prefix("cluster ") {
            Some(rest) => {
                found = true;
                let rest = rest.split_once([' ', '{']).map_or("", |(_, rest)| rest);
                let block = if line.contains('{') { "{" } else { "" };
                out.push_str(&format!("cluster {} {block}{rest}\n", world.cluster));
            }
            None => out.push_str(&format!("{line}\n")),
        }
    }
    assert!(found, "no cluster line in {text}");
    out
}

async fn check(world: World, before: &str, after: &str, _class: UpdateClass) {
    let first = world.compile(&own(&world, before), FILES);
    let second = world.compile(&own(&world, after), FILES);
    world.apply(&first).await;
    world.apply(&second).await;
    world.destroy(&second, true).await;
}
