//! How commands arrive: each command of a case is a signal and a validated update of the same name.

use recourse_domain::{
    case::{Case, REFUSALS_KEPT_MAX},
    command::{CommandKind, Message, Refusal, Unreadable},
    ids::CaseKind,
    messages::Status,
};
use temporalio_common::data_converters::RawValue;
use temporalio_workflow::WorkflowContext;

use crate::{
    case_state::{CaseState, Conducts},
    conduct::{detached_wait, now},
    messages::json_of,
};

/// Gives a command to the case as soon as the case is open, and answers with the case's status or the refusal.
pub async fn receive<W: Conducts>(
    ctx: WorkflowContext<W>,
    command_kind: CommandKind,
    raw: RawValue,
) -> Result<Status, Refusal> {
    let message = read::<W::Case>(command_kind, &raw);
    let _ = ctx.wait_condition_with_options(|state: &W| state.case_state().is_ready(), detached_wait()).await;
    let now = now(&ctx);
    ctx.state_mut(|state| {
        let case_state = state.case_state_mut();
        match &mut case_state.case {
            Ok(case) => case.receive(command_kind, message, now).and_then(|()| case_state.status()),
            Err(_) => case_state.status(),
        }
    })
}

fn read<C: Case>(command_kind: CommandKind, raw: &RawValue) -> Result<Message, Unreadable> {
    let message = Message::read(command_kind, json_of(raw)?)?;
    C::readable(&message.command)?;
    Ok(message)
}

/// Whether to admit an update. An update that is not admitted leaves no event.
///
/// An unreadable update is never admitted. An update that a rule refuses is admitted, so that the timeline can keep the
/// refusal, until the timeline has its maximum of refusals. The server takes a limited number of updates per case, and a
/// sender of nonsense must not use them up for the parties. A validator has no time, so only the case can judge lateness.
pub fn admit<C: Case>(
    case_state: &CaseState<C>,
    command_kind: CommandKind,
    raw: &RawValue,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let message = read::<C>(command_kind, raw).map_err(Refusal::from)?;
    if let Ok(case) = &case_state.case
        && case_state.open
        && case.file().refusals() >= REFUSALS_KEPT_MAX
    {
        let opened = case.file().stage_opened_at;
        case.clone().receive(command_kind, Ok(Message { at: None, ..message }), opened)?;
    }
    Ok(())
}

/// Whether these are the catalogue's commands for such a case, so that the compiler says which workflow lacks one.
pub const fn takes_all(kind: CaseKind, handled: &[CommandKind]) -> bool {
    let mut index = 0;
    while index < CommandKind::ALL.len() {
        let (command_kind, mut place) = (CommandKind::ALL[index], 0);
        while place < handled.len() && handled[place] as u8 != command_kind as u8 {
            place += 1;
        }
        if command_kind.is_taken_by(kind) != (place < handled.len()) {
            return false;
        }
        index += 1;
    }
    true
}

/// Makes a workflow of a case: its state, its `status` query, and each command as a signal and a validated update of the
/// same name. Arguments: the workflow, its case, the function that begins the case from the start's payload, the function
/// that takes the escrow or payment, and the commands' names. The names must be those of the catalogue.
macro_rules! case_workflow {
    (
        $(#[$doc:meta])*
        $workflow:ident($case:ty), begun by $begin:path, opened by $open:path,
        taking [$($name:literal),+ $(,)?]
    ) => { pastey::paste! {
        const _: () = assert!(
            $crate::handlers::takes_all(<$case as ::recourse_domain::case::Case>::KIND, &[$(::recourse_domain::command::CommandKind::[<$name:camel>]),+]),
            "a workflow handles the commands that the catalogue has for its case"
        );

        $(#[$doc])*
        #[temporalio_macros::workflow]
        pub struct $workflow {
            case_state: $crate::case_state::CaseState<$case>,
        }

        impl $crate::case_state::Conducts for $workflow {
            type Case = $case;

            fn case_state(&self) -> &$crate::case_state::CaseState<$case> {
                &self.case_state
            }

            fn case_state_mut(&mut self) -> &mut $crate::case_state::CaseState<$case> {
                &mut self.case_state
            }

            fn go_on(
                ctx: &temporalio_workflow::WorkflowContext<Self>,
                input: temporalio_common::data_converters::RawValue,
            ) -> temporalio_workflow::WorkflowTermination {
                let Err(ended) = ctx.continue_as_new(input, temporalio_workflow::ContinueAsNewOptions::default());
                ended
            }
        }

        #[allow(missing_docs, clippy::needless_pass_by_value, clippy::unused_self, reason = "the SDK's macro wants these forms")]
        #[temporalio_macros::workflow_methods]
        impl $workflow {
            #[init]
            pub fn new(ctx: &temporalio_workflow::WorkflowContextView, start: temporalio_common::data_converters::RawValue) -> Self {
                Self { case_state: $crate::case_state::CaseState::new(ctx, &start, $begin) }
            }

            #[run]
            pub async fn run(ctx: &mut temporalio_workflow::WorkflowContext<Self>) -> temporalio_workflow::WorkflowResult<::recourse_domain::outcome::Outcome> {
                $crate::drive::conduct(ctx, $open).await
            }

            #[query]
            pub fn status(&self, _ctx: &temporalio_workflow::WorkflowContextView) -> Result<::recourse_domain::messages::Status, Box<dyn std::error::Error + Send + Sync>> {
                self.case_state.status().map_err(Into::into)
            }

            $(
                #[signal(name = $name)]
                pub async fn [<$name _signal>](ctx: &mut temporalio_workflow::WorkflowContext<Self>, raw: temporalio_common::data_converters::RawValue) {
                    // A signal has no answer: the timeline shows the result.
                    let _ = $crate::handlers::receive(ctx.clone(), ::recourse_domain::command::CommandKind::[<$name:camel>], raw).await;
                }

                #[update(name = $name)]
                pub async fn [<$name>](
                    ctx: &mut temporalio_workflow::WorkflowContext<Self>,
                    raw: temporalio_common::data_converters::RawValue,
                ) -> Result<::recourse_domain::messages::Status, Box<dyn std::error::Error + Send + Sync>> {
                    $crate::handlers::receive(ctx.clone(), ::recourse_domain::command::CommandKind::[<$name:camel>], raw).await.map_err(Into::into)
                }

                #[update_validator([<$name>])]
                fn [<$name _readable>](
                    &self,
                    _ctx: &temporalio_workflow::WorkflowContextView,
                    raw: &temporalio_common::data_converters::RawValue,
                ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
                    $crate::handlers::admit(&self.case_state, ::recourse_domain::command::CommandKind::[<$name:camel>], raw)
                }
            )+
        }
    }};
}

pub(crate) use case_workflow;
