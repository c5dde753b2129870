use super::*;

const LASTS: Duration = Duration::from_secs(15);
const TERM: Term = Term { lease: 7, key: 70 };

fn lease(spec: &str) -> Lease {
    Lease::new(Bounds::new(LASTS), "one", spec, false)
}

fn record(epoch: u64, hash: &str, earlier: &[&str]) -> SpecRecord {
    let earlier = earlier.iter().map(|it| (*it).to_owned()).collect();
    SpecRecord { epoch, hash: hash.to_owned(), earlier, ..SpecRecord::default() }
}

fn seen(leader: Option<&str>, record: Option<SpecRecord>) -> StoreView {
    let record_revision = record.as_ref().map_or(0, |record| i64::try_from(record.epoch).unwrap());
    StoreView { leader: leader.map(str::to_owned), record, record_revision, ..StoreView::default() }
}

fn ours(record: Option<SpecRecord>) -> LeaseAnswer {
    let seen = seen(Some("one"), record);
    LeaseAnswer::Taken(Taken::Ours { term: TERM, lasts: LASTS, seen, memory: None })
}

fn longer(record: SpecRecord) -> LeaseAnswer {
    LeaseAnswer::Renewed(Renewed::Longer { lasts: LASTS, seen: seen(Some("one"), Some(record)) })
}

fn silent() -> LeaseAnswer {
    LeaseAnswer::Failed(StoreError::Unreachable("no answer".to_owned()))
}

/// Leads with a spec whose record is there, from a request that was sent at 1 s.
fn leader() -> Lease {
    let mut lease = lease("a");
    assert_eq!(lease.next(0), Some(Ask::Look));
    lease.answered(LeaseAnswer::Seen(seen(None, Some(record(3, "a", &["z"])))), 10);
    assert_eq!(lease.next(1_000), Some(Ask::Take));
    lease.answered(ours(Some(record(3, "a", &["z"]))), 4_000);
    lease
}

fn leads(lease: &Lease, now_ms: u64) -> bool {
    matches!(lease.role(now_ms), LeaseRole::Leader { .. })
}

#[test]
fn the_deadline_counts_from_when_the_lease_was_asked_for() {
    let mut lease = leader();
    // Sent at 1 s, 15 s long, 3 s of margin.
    assert_eq!(lease.role(4_000), LeaseRole::Leader { epoch: 3, until_ms: 13_000 });
    assert!(leads(&lease, 12_999));
    assert!(!leads(&lease, 13_000), "without a report from anybody");
    assert_eq!(lease.next(13_000), Some(Ask::GiveBack(TERM)), "it may be ours still");
    assert_eq!(lease.take_loss(), Some(Loss::RanOut));
    lease.answered(LeaseAnswer::GivenBack, 13_100);
    assert_eq!(lease.next(13_100), Some(Ask::Look));
}

#[test]
fn a_lease_is_renewed_at_a_third_and_its_new_deadline_counts_from_then() {
    let mut lease = leader();
    assert_eq!(lease.next(4_999), None);
    assert_eq!(lease.next(5_999), Some(Ask::Look));
    lease.answered(LeaseAnswer::Seen(seen(Some("one"), Some(record(3, "a", &["z"])))), 5_999);
    assert_eq!(lease.next(6_000), Some(Ask::Renew(TERM)));
    assert_eq!(lease.next(6_001), None, "one question at a time");
    lease.answered(longer(record(3, "a", &["z"])), 8_500);
    assert_eq!(lease.role(8_500), LeaseRole::Leader { epoch: 3, until_ms: 18_000 });
    assert_eq!(lease.wake_ms(), 9_500, "it looks, too");
}

#[test]
fn an_answer_that_comes_after_the_deadline_gives_no_lease_back() {
    let mut lease = leader();
    assert_eq!(lease.next(6_000), Some(Ask::Renew(TERM)));
    // It was stopped meanwhile, and goes on.
    lease.answered(longer(record(3, "a", &["z"])), 30_000);
    assert!(!leads(&lease, 30_000));
    assert_eq!(lease.take_loss(), Some(Loss::RanOut));
    // The same for taking it.
    let mut late = crate::lease::state_machine::tests::lease("a");
    late.next(0);
    late.answered(LeaseAnswer::Seen(seen(None, None)), 10);
    assert_eq!(late.next(10), Some(Ask::Take));
    late.answered(ours(Some(record(1, "a", &[]))), 12_500);
    assert!(!leads(&late, 12_500));
    assert_eq!(late.next(12_500), Some(Ask::GiveBack(TERM)), "another must not wait for it");
}

#[test]
fn a_silent_store_is_asked_again_and_the_lease_runs_out() {
    let mut lease = leader();
    let mut asked = 0;
    for now_ms in (4_000..13_000).step_by(100) {
        if lease.next(now_ms).is_some() {
            asked += 1;
            lease.answered(silent(), now_ms);
        }
        assert!(leads(&lease, now_ms));
    }
    assert_eq!(asked, 16, "each half second from 5 s on");
    assert!(!leads(&lease, 13_000));
}

#[test]
fn a_leader_that_sees_another_in_its_place_asks_at_once_whether_it_still_leads() {
    let mut lease = leader();
    assert_eq!(lease.next(5_000), Some(Ask::Look));
    lease.answered(LeaseAnswer::Seen(seen(Some("two"), Some(record(3, "a", &["z"])))), 5_010);
    assert_eq!(lease.next(5_010), Some(Ask::Renew(TERM)));
}

#[test]
fn a_refused_renewal_ends_it_at_once() {
    let mut lease = leader();
    lease.next(6_000);
    lease.answered(LeaseAnswer::Renewed(Renewed::Over), 6_100);
    assert!(!leads(&lease, 6_100));
    assert_eq!(lease.take_loss(), Some(Loss::Refused));
    assert_eq!(lease.next(6_100), Some(Ask::Look), "there is nothing to give back");
}

#[test]
fn a_newer_epoch_ends_it_at_once() {
    let mut lease = leader();
    lease.next(6_000);
    lease.answered(longer(record(4, "b", &["a", "z"])), 6_100);
    assert!(!leads(&lease, 6_100));
    assert_eq!(lease.take_loss(), Some(Loss::Superseded));
    assert_eq!(lease.next(6_100), Some(Ask::GiveBack(TERM)));
}

#[test]
fn a_newer_epoch_of_the_same_spec_needs_a_new_permit() {
    let mut lease = leader();
    lease.next(6_000);
    lease.answered(longer(record(5, "a", &["b"])), 6_100);
    assert!(!leads(&lease, 6_100), "between the two another spec counted");
}

#[test]
fn a_new_spec_is_published_before_it_leads() {
    let mut lease = lease("b");
    lease.next(0);
    lease.answered(LeaseAnswer::Seen(seen(None, Some(record(3, "a", &["z"])))), 10);
    assert_eq!(lease.next(10), Some(Ask::Take));
    lease.answered(ours(Some(record(3, "a", &["z"]))), 20);
    assert!(!leads(&lease, 20), "its spec does not count yet");
    let Some(Ask::Publish { term, after, record }) = lease.next(20) else { panic!() };
    assert_eq!((term, after, record.epoch, record.hash.as_str()), (TERM, 3, 4, "b"));
    assert_eq!(record.earlier, ["a", "z"]);
    lease.answered(silent(), 30);
    assert!(!leads(&lease, 30), "it may have been published");
    assert_eq!(lease.next(400), None);
    let Some(Ask::Publish { .. }) = lease.next(530) else { panic!() };
    lease.answered(LeaseAnswer::Published(Some(9)), 540);
    assert_eq!(lease.role(540), LeaseRole::Leader { epoch: 4, until_ms: 12_010 });
}

#[test]
fn a_publish_whose_reply_was_lost_is_found_by_the_next_look() {
    let mut lease = lease("b");
    lease.next(0);
    lease.answered(LeaseAnswer::Seen(seen(None, None)), 10);
    lease.next(10);
    lease.answered(ours(None), 20);
    lease.next(20);
    lease.answered(silent(), 30);
    lease.next(530);
    lease.answered(LeaseAnswer::Published(None), 540);
    assert_eq!(lease.next(540), Some(Ask::Renew(TERM)));
    lease.answered(longer(record(1, "b", &[])), 550);
    assert!(leads(&lease, 550));
}

/// Seed 909297 of the simulation.
#[test]
fn a_spec_that_comes_back_after_another_one_was_published_unheard_leads_nobody() {
    let mut lease = lease("b");
    lease.next(0);
    lease.answered(LeaseAnswer::Seen(seen(None, Some(record(3, "a", &[])))), 10);
    lease.next(10);
    lease.answered(ours(Some(record(3, "a", &[]))), 20);
    lease.next(20);
    lease.answered(silent(), 30);
    let Some(Ask::Publish { .. }) = lease.next(530) else { panic!() };
    // The first one had come to pass.
    lease.answered(LeaseAnswer::Published(None), 540);
    lease.follow("a", 550);
    assert!(!leads(&lease, 550), "what was seen last says nothing");
    assert_eq!(lease.next(550), Some(Ask::Renew(TERM)));
    lease.answered(longer(record(4, "b", &["a"])), 560);
    assert!(!leads(&lease, 560));
}

#[test]
fn a_superseded_spec_never_takes_the_lease() {
    let mut lease = lease("z");
    lease.next(0);
    lease.answered(LeaseAnswer::Seen(seen(None, Some(record(3, "a", &["z"])))), 10);
    let mut asked = 0;
    for now_ms in (10..60_000).step_by(10) {
        if let Some(ask) = lease.next(now_ms) {
            assert_eq!(ask, Ask::Look);
            asked += 1;
            lease.answered(LeaseAnswer::Seen(seen(None, Some(record(3, "a", &["z"])))), now_ms);
        }
        assert!(matches!(lease.role(now_ms), LeaseRole::Follower { aside: Some(_) }));
    }
    assert_eq!(asked, 59, "once a second");
}

#[test]
fn one_that_finds_itself_superseded_with_the_lease_in_hand_gives_it_back() {
    let mut lease = lease("z");
    lease.next(0);
    lease.answered(LeaseAnswer::Seen(seen(None, None)), 10);
    assert_eq!(lease.next(10), Some(Ask::Take));
    lease.answered(ours(Some(record(3, "a", &["z"]))), 20);
    assert!(!leads(&lease, 20));
    assert_eq!(lease.next(20), Some(Ask::GiveBack(TERM)));
}

#[test]
fn who_says_so_supersedes_once() {
    let mut lease = Lease::new(Bounds::new(LASTS), "one", "z", true);
    lease.next(0);
    lease.answered(LeaseAnswer::Seen(seen(None, Some(record(3, "a", &["z"])))), 10);
    assert_eq!(lease.next(10), Some(Ask::Take));
    lease.answered(ours(Some(record(3, "a", &["z"]))), 20);
    let Some(Ask::Publish { record: published, .. }) = lease.next(20) else { panic!() };
    assert_eq!((published.epoch, published.earlier.as_slice()), (4, ["a".to_owned()].as_slice()));
    lease.answered(LeaseAnswer::Published(Some(9)), 30);
    assert!(leads(&lease, 30));
    lease.next(5_020);
    lease.answered(longer(record(5, "c", &["z", "a"])), 5_030);
    assert!(matches!(lease.role(5_030), LeaseRole::Follower { aside: Some(_) }), "only once");
}

#[test]
fn a_spec_that_changes_back_while_it_leads_is_published_anew() {
    let mut lease = leader();
    lease.follow("z", 5_000);
    assert!(!leads(&lease, 5_000), "not before it is published");
    let Some(Ask::Publish { record, .. }) = lease.next(5_000) else { panic!() };
    assert_eq!((record.epoch, record.earlier.as_slice()), (4, ["a".to_owned()].as_slice()));
    lease.answered(LeaseAnswer::Published(Some(9)), 5_010);
    assert!(leads(&lease, 5_010));
}

#[test]
fn a_followers_change_to_an_old_spec_stands_aside() {
    let mut lease = lease("a");
    lease.next(0);
    lease.answered(LeaseAnswer::Seen(seen(Some("two"), Some(record(3, "a", &["z"])))), 10);
    lease.follow("z", 20);
    assert!(matches!(lease.role(20), LeaseRole::Follower { aside: Some(_) }));
    lease.next(1_010);
    lease.answered(LeaseAnswer::Seen(seen(None, Some(record(3, "a", &["z"])))), 1_020);
    assert_eq!(lease.next(2_020), Some(Ask::Look), "and does not ask for the lease");
}

#[test]
fn resigning_names_the_lease_to_give_back() {
    let mut lease = leader();
    assert_eq!(lease.resign(), Some(TERM));
    assert!(!leads(&lease, 4_001));
    assert_eq!(crate::lease::state_machine::tests::lease("a").resign(), None);
}

#[test]
fn who_goes_back_while_a_publish_is_on_its_way_publishes_once_more() {
    let mut lease = leader();
    lease.follow("b", 4_500);
    let Some(Ask::Publish { .. }) = lease.next(4_500) else { panic!() };
    // The spec was changed back meanwhile, and as far as it knows its own spec counts.
    lease.follow("a", 4_600);
    assert!(!leads(&lease, 4_600), "the other one may have been published");
    lease.answered(silent(), 5_000);
    assert!(!leads(&lease, 5_000), "or may yet be");
    let Some(Ask::Publish { after, record, .. }) = lease.next(5_500) else { panic!() };
    assert_eq!((after, record.epoch, record.hash.as_str()), (3, 4, "a"));
    lease.answered(LeaseAnswer::Published(Some(8)), 5_510);
    assert!(
        leads(&lease, 5_510),
        "what was on its way comes after a revision that is no longer there"
    );
}
