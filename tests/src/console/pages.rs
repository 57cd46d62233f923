//! Lists that are longer than a page.

use recourse_client::Filters;
use serde_json::Value;

use super::{browser::Person, parties::of_personas};
use crate::{
    api::Served,
    harness::{World, run},
};

/// The next page of a list continues the first, and leaves the other lists as they are.
#[test]
fn a_list_continues_on_its_next_page() {
    run(async {
        let world = World::apart("pages", &[]).await;
        let served = Served::played(&world).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let story = of_personas(&world, "listed");
            story.deposit("d-1", 30_000, "card-1").await;
            story.end(0, Value::Null).await;
            ids.push(story.id().to_string());
        }
        ids.sort();
        // The server keeps the lists of cases, and adds a case a little after its start.
        let filters = Filters { open: Some(true), ..Filters::default() };
        while world.client.list(&filters, None).await.unwrap().cases.len() < ids.len() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let ada = Person::signed_in(&served.url, "Ada").await;
        ada.open("/?limit=2").await;
        let contracts = ada.section("contracts").await;
        assert!(
            contracts.contains(&ids[0]) && contracts.contains(&ids[1]) && !contracts.contains(&ids[2]),
            "{contracts}"
        );
        let first = ada.section("open").await;
        ada.click("Next page of contracts").await;
        ada.reads(&["First page of contracts"]).await;
        let contracts = ada.section("contracts").await;
        assert!(!contracts.contains(&ids[1]) && contracts.contains(&ids[2]), "{contracts}");
        assert!(!contracts.contains("Next page"), "{contracts}");
        assert_eq!(ada.section("open").await, first, "another list stays where it is");

        ada.click("Next page of open cases").await;
        ada.reads(&["First page of open cases"]).await;
        ada.look("second-page").await;
        let second = ada.section("open").await;
        let (on_first, on_second): (Vec<&String>, Vec<&String>) = ids.iter().partition(|id| first.contains(*id));
        assert_eq!((on_first.len(), on_second.len()), (2, 1), "{first}");
        assert!(second.contains(on_second[0]) && !second.contains(on_first[0]), "{second}");
        assert!(ada.section("contracts").await.contains(&ids[2]), "the contracts stay on their second page");
        ada.click("First page of open cases").await;
        ada.reads(&["Next page of open cases"]).await;
        assert_eq!(ada.section("open").await, first);
        ada.leave().await;
    });
}
