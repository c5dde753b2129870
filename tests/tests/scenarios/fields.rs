//! Every field that has an effect: applied, the second plan is empty; changed, applied, empty again. The cases
//! come from the schema table, so each new field is tested.

use tally_graph::schema::{Step, UpdateClass, examples};

use crate::world::{World, both};

pub const FILES: &[(&str, &str)] =
    &[("a.kdl", ""), ("b.kdl", ""), ("a.conf", "a"), ("b.conf", "b")];

#[test]
fn for_each_field_the_second_plan_is_empty() {
    let cases: Vec<_> = examples()
        .filter(|example| example.field.step == Step::Now)
        // TLS belongs to addresses that this version does not reach.
        .filter(|example| !example.before.contains("tcp://"))
        .collect();
    assert!(cases.len() > 40, "the table has shrunk to {}", cases.len());
    // With more clusters that stop at once, Docker 20.10 sometimes leaves an endpoint of a removed container on
    // its network forever.
    let threads = 4;
    // Host ports are the machine's: cases that publish take turns.
    let lane =
        |number: usize, text: &str| if text.contains("publish") { 0 } else { number % threads };
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let cases = &cases;
            scope.spawn(move || {
                for (number, case) in cases.iter().enumerate() {
                    if lane(number, &case.before) != thread {
                        continue;
                    }
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
pub fn own(world: &World, text: &str) -> String {
    let at = text.find("cluster ").expect("a cluster line") + "cluster ".len();
    let (head, tail) = text.split_at(at);
    let end = tail.find([' ', '{', ';', '\n']).unwrap_or(tail.len());
    format!("{head}{}{}", world.cluster, &tail[end..])
}

async fn check(world: World, before: &str, after: &str, _class: UpdateClass) {
    let first = world.compile(&own(&world, before), FILES);
    let second = world.compile(&own(&world, after), FILES);
    world.apply(&first).await;
    world.apply(&second).await;
    world.destroy(&second, true).await;
}
