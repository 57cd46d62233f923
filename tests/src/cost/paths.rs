//! The paths whose cost is counted: one for each way through the rules that has its own cost.

use jiff::Timestamp;
use serde_json::Value;

use crate::harness::{Story, World};

/// A way through a case, in the words of [`Story::play`]; `signals` sends the command as a signal.
pub struct Path {
    /// Its name in the table.
    pub name: &'static str,
    scene: Scene,
    story: &'static str,
}

/// What exists before the counting begins, and how the case starts.
enum Scene {
    /// Nothing exists; 300.00 are deposited.
    Deposit,
    /// The first amount is in escrow; the contract ends and the client pays the second.
    End(i64, i64),
    /// A milestone of 300.00 is funded; it is submitted.
    Review,
    /// The same, and while it is reviewed the contract ends. Counted from the submission.
    EndDuringReview,
    /// A milestone of 300.00 was released; it is asked back.
    PaymentRefund,
}

const fn path(name: &'static str, scene: Scene, story: &'static str) -> Path {
    Path { name, scene, story }
}

/// All of them, in the order of the table.
pub const PATHS: [Path; 25] = [
    path("deposit", Scene::Deposit, ""),
    path("refund request: nothing held", Scene::End(0, 0), ""),
    path("refund request: paid in full", Scene::End(30_000, 30_000), ""),
    path("refund request: approved by signal", Scene::End(30_000, 0), "1 freelancer signals approve"),
    path("refund request: approved by update", Scene::End(30_000, 0), "1 freelancer approve"),
    path("refund request: paid in part, approved", Scene::End(30_000, 10_000), "1 freelancer approve"),
    path("refund request: silence", Scene::End(30_000, 0), "7"),
    path("refund request: released", Scene::End(30_000, 0), "1 client release"),
    path("dispute: client silence", Scene::End(30_000, 0), "1 freelancer claim 15000; 6"),
    path("dispute: claim accepted", Scene::End(30_000, 0), "1 freelancer claim 15000; 2 client accept claim"),
    path(
        "dispute: both accept the resolution",
        Scene::End(30_000, 0),
        "1 freelancer claim 15000; 2 client reject claim; 3 mediator propose 9000; 4 client accept resolution; \
         4.5 freelancer accept resolution",
    ),
    path(
        "dispute: agreement",
        Scene::End(30_000, 0),
        "1 freelancer claim 15000; 2 client offer 12000; 3 freelancer accept offer 1",
    ),
    path(
        "dispute: both demand, award",
        Scene::End(30_000, 0),
        "1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 4 freelancer demand; 5 client demand; \
         40 arbitrator award 12000",
    ),
    path(
        "dispute: sole demand",
        Scene::End(30_000, 0),
        "1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 4 freelancer demand; 10",
    ),
    path(
        "dispute: nobody demands",
        Scene::End(30_000, 0),
        "1 freelancer claim 15000; 2 client reject claim; 3 mediator close; 10",
    ),
    path("milestone: approved", Scene::Review, "2 client approve"),
    path("milestone: silence", Scene::Review, "14"),
    path(
        "milestone: changes, submitted again, approved",
        Scene::Review,
        "2 client request; 3 freelancer submit; 4 client approve",
    ),
    path("milestone: approved in part", Scene::Review, "2 client approve 20000"),
    path("milestone: approved with a bonus", Scene::Review, "2 client approve 35000"),
    path("milestone: disputed, claim accepted", Scene::Review, "2 freelancer claim 20000; 3 client accept claim"),
    path("contract's end during a review, approved", Scene::EndDuringReview, "1 freelancer approve"),
    path("payment refund: approved", Scene::PaymentRefund, "1 freelancer approve"),
    path("payment refund: rejected", Scene::PaymentRefund, "1 freelancer keep"),
    path("payment refund: silence", Scene::PaymentRefund, "180"),
];

/// What was played.
pub struct Played {
    /// The cases that existed before.
    pub before: Vec<String>,
    /// The path's own, the outermost first.
    pub cases: Vec<String>,
}

impl Path {
    /// Plays the path to its end.
    pub async fn play(&self, world: &World) -> Played {
        let mut story = Story::new(world, "cost");
        let (deposit, review) = (format!("escrow-deposit:{}:d-1", story.id()), story.review("m-1"));
        let mut before = vec![deposit.clone()];
        let mut cases = Vec::new();
        match self.scene {
            Scene::Deposit => {
                story.deposit("d-1", 30_000, &story.card()).await;
                return Played { before: Vec::new(), cases: vec![deposit] };
            }
            Scene::End(0, _) => {
                before.clear();
                story.end(0, Value::Null).await;
            }
            Scene::End(held, pay_now) => {
                story.deposit("d-1", held, &story.card()).await;
                story.end(pay_now, Value::Null).await;
            }
            Scene::Review => {
                story.fund("d-1", "m-1", 30_000, &story.card()).await;
                story.submit("m-1", 1, 30_000).await;
            }
            Scene::EndDuringReview => {
                story.fund("d-1", "m-1", 30_000, &story.card()).await;
                story.submit("m-1", 1, 30_000).await;
                cases.push(review);
                story = story.again();
                story.end(0, Value::Null).await;
            }
            Scene::PaymentRefund => {
                story.fund("d-1", "m-1", 30_000, &story.card()).await;
                story.submit("m-1", 1, 30_000).await;
                story.play("1 client approve").await;
                story.outcome_of(&review).await;
                story.ask_back(&format!("{review}/release"), Timestamp::now(), 30_000).await;
                before.push(review);
            }
        }
        cases.push(story.case().to_owned());
        for step in self.story.split(';').map(str::trim) {
            match step.split_once(" signals ") {
                None => story.play(step).await,
                Some((when, words)) => signal(world, &mut story, when, words).await,
            }
        }
        // A claim began another case.
        if cases.iter().all(|case| case != story.case()) {
            cases.push(story.case().to_owned());
        }
        for case in &cases {
            story.outcome_of(case).await;
        }
        Played { before, cases }
    }
}

async fn signal(world: &World, story: &mut Story<'_>, when: &str, words: &str) {
    let (days, who) = when.split_once(' ').unwrap();
    story.until(days.parse().unwrap()).await;
    let (command_kind, body) = story.command(who, words);
    world.client.signal(story.case(), command_kind.name(), serde_json::to_vec(&body).unwrap()).await.unwrap();
}
