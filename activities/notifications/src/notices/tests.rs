use recourse_database::testing::{TestDatabase, amount, at, contract, id};
use recourse_domain::{
    notice::{Facts, NoticeEvent},
    rule::Rule,
};

use super::*;

pub(super) fn tell(case_ref: &str, notices: Vec<Notice>) -> Tell {
    Tell {
        case: case_ref.split('#').next().unwrap().to_owned(),
        case_ref: case_ref.to_owned(),
        contract: contract("c-1"),
        notices,
        at: at(),
    }
}

pub(super) fn notice(number: u32, to: Role, email: bool) -> Notice {
    Notice {
        number,
        event: NoticeEvent::RefundRequested,
        to,
        by: Some(Role::Client),
        rule: Rule::R3,
        email,
        can: Vec::new(),
        deadline: Some(at()),
        if_silent: None,
        facts: Facts { amount: Some(amount(500)), ..Facts::default() },
    }
}

/// N2: once per case, event, recipient and channel.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repeated_notice_is_stored_once() {
    let test = TestDatabase::new().await;
    let book = NoticeBook::new(test.database.clone());
    let told = tell("refund-request:c-1", vec![notice(1, Role::Client, true), notice(2, Role::Freelancer, true)]);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (book, told) = (book.clone(), told.clone());
            tokio::spawn(async move { book.tell(&told).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), NoticesStored { stored: 2 });
    }
    assert_eq!(book.list(&NoticeFilter::default()).await.unwrap().len(), 2);
    assert_eq!(book.emails().await.unwrap().len(), 2);
    book.tell(&tell("refund-request:c-1#2", told.notices)).await.unwrap();
    assert_eq!(book.list(&NoticeFilter::default()).await.unwrap().len(), 4, "a second case stores notices of its own");
}

/// N2: notices that come at the same time are stored together, with the same result for each case as if stored alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn notices_stored_at_once_are_stored_once_for_each_case() {
    let test = TestDatabase::new().await;
    let book = NoticeBook::new(test.database.clone());
    let tasks: Vec<_> = (0..120)
        .map(|number| {
            let both = vec![notice(1, Role::Client, true), notice(1, Role::Freelancer, true)];
            let (book, told) = (book.clone(), tell(&format!("refund-request:c-{}", number % 40), both));
            tokio::spawn(async move { book.tell(&told).await })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        if number % 7 == 0 {
            task.abort();
        } else {
            assert_eq!(task.await.unwrap().unwrap(), NoticesStored { stored: 2 });
        }
    }
    let notices = book.list(&NoticeFilter::default()).await.unwrap();
    assert_eq!((notices.len(), book.emails().await.unwrap().len()), (80, 80));
    for events in ["SELECT COUNT(*) FROM events", "/* of a test */ SELECT COUNT(*) FROM events WHERE case_sequence = 1"]
    {
        let count: i64 = sqlx::query_scalar(events).fetch_one(test.database.pool()).await.unwrap();
        assert_eq!(count, 40, "{events}");
    }
}

/// N2: after a reset, a case may give another event a number that it has used. That event still gets its notice.
#[tokio::test]
async fn the_same_number_of_another_event_is_another_notice() {
    let test = TestDatabase::new().await;
    let book = NoticeBook::new(test.database.clone());
    let first = notice(1, Role::Client, true);
    let other = Notice { event: NoticeEvent::Decided, ..first.clone() };
    for notices in [vec![first.clone()], vec![other.clone()], vec![first, other]] {
        book.tell(&tell("refund-request:c-1", notices)).await.unwrap();
    }
    let stored = book.list(&NoticeFilter::default()).await.unwrap();
    let events: Vec<_> = stored.iter().map(|notice| (notice.number, notice.event.as_str())).collect();
    assert_eq!(events, [(1, "refund_requested"), (1, "decided")]);
    let emails = book.emails().await.unwrap();
    let keys: Vec<_> = emails.iter().map(OutboxEmail::key).collect();
    assert_eq!(
        keys,
        ["refund-request=3Ac-1.1.refund_requested.client", "refund-request=3Ac-1.1.decided.client"],
        "two emails, and no mail server takes them for one"
    );
}

#[tokio::test]
async fn notices_are_read_by_contract_role_and_party() {
    let test = TestDatabase::new().await;
    let book = NoticeBook::new(test.database.clone());
    let mut told = tell(
        "dispute:c-1",
        vec![notice(1, Role::Client, true), notice(2, Role::Freelancer, false), notice(3, Role::Mediator, true)],
    );
    told.contract.freelancer.email = None;
    told.notices.push(notice(4, Role::Freelancer, true));
    book.tell(&told).await.unwrap();
    let numbers = async |filter: NoticeFilter| {
        let notices = book.list(&filter).await.unwrap();
        notices.into_iter().map(|notice| notice.number).collect::<Vec<_>>()
    };
    let any = NoticeFilter::default();
    assert_eq!(numbers(any.clone()).await, [1, 2, 3, 4]);
    assert_eq!(numbers(NoticeFilter { recipient: Some(Role::Mediator), ..any.clone() }).await, [3]);
    assert_eq!(numbers(NoticeFilter { party: Some(id("fl-1")), ..any.clone() }).await, [2, 4]);
    assert_eq!(numbers(NoticeFilter { contract: Some(id("c-2")), ..any.clone() }).await, [0_i64; 0]);
    let newest = book.latest(&any, None, 2).await.unwrap();
    assert_eq!(newest.iter().map(|notice| notice.number).collect::<Vec<_>>(), [4, 3], "newest first");
    let before = book.latest(&any, Some(newest[1].sequence), 9).await.unwrap();
    assert_eq!(before.iter().map(|notice| notice.number).collect::<Vec<_>>(), [2, 1]);
    let emails: Vec<_> = book.emails().await.unwrap().into_iter().map(|email| (email.number, email.address)).collect();
    assert_eq!(emails, [(1, "ada@example.com".to_owned())], "only to addresses, only notices by email");
    let first = &book.list(&any).await.unwrap()[0];
    assert_eq!((first.event.as_str(), first.rule.as_str()), ("refund_requested", "R3"));
    assert_eq!((first.party.as_deref(), first.deadline.as_deref()), (Some("cl-1"), Some("2026-12-03T10:00:00Z")));
}
