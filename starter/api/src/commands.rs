//! A command over HTTP: its fields, and how the description shows it. Both come from the catalogue.

use recourse_domain::{
    command::{CommandKind, Payload, Use, Visit},
    party::Role,
    text::shortened,
};
use schemars::{Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{extract, problem::Problem};

/// The path of every command, as the router has it.
const PATH: &str = "/v1/cases/{case}/commands/{command}";

/// The fields that a command has only over HTTP.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "as")]
    as_role: Option<Role>,
}

/// A command's fields, and the role in which the sender gives it.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// The role, if the sender has several that can give it.
    pub role: Option<Role>,
    /// Its fields.
    pub fields: Map<String, Value>,
}

impl Said {
    /// Reads the body of this command.
    ///
    /// # Errors
    /// A problem of status 400 if it is not JSON; of status 422 with the field if the command does not have it, lacks it, or
    /// cannot read it.
    pub fn read(command_kind: CommandKind, body: &[u8]) -> Result<Self, Problem> {
        let (Head { as_role: role }, _) = extract::noting(body)?;
        let (fields, unknown) = command_kind.visit(Fields(body))?;
        match unknown.iter().find(|path| *path != "as") {
            None => Ok(Self { role, fields }),
            // The sender chose the name, and Recourse keeps the answer.
            Some(path) => Err(Problem::invalid(shortened(&unknown_in(command_kind, path)))),
        }
    }
}

fn unknown_in(command_kind: CommandKind, path: &str) -> String {
    let known: Vec<&str> = command_kind.fields().iter().map(|field| field.name).collect();
    if path.split('.').next().is_some_and(|name| known.contains(&name)) {
        return format!("{path}: there is no such field here");
    }
    match known.as_slice() {
        [] => format!("{path}: {command_kind} has no fields"),
        known => format!("{path}: {command_kind} has only {}", known.join(", ")),
    }
}

/// Reads a command's body: its fields, and everything else in it.
struct Fields<'a>(&'a [u8]);

impl Visit for Fields<'_> {
    type Out = Result<(Map<String, Value>, Vec<String>), Problem>;

    fn visit<P: Payload>(self) -> Self::Out {
        let (said, unknown) = extract::noting::<P>(self.0)?;
        match serde_json::to_value(said) {
            Ok(Value::Object(fields)) => Ok((fields, unknown)),
            _ => Ok((Map::new(), unknown)),
        }
    }
}

/// Puts each command into the description, in place of the one path for all.
pub fn describe(document: &mut Value, schemas: &mut SchemaGenerator) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    let Some(of_all) = paths.remove(PATH) else { return };
    for command_kind in CommandKind::ALL {
        paths.insert(PATH.replace("{command}", command_kind.name()), operation(of_all.clone(), command_kind));
    }
    for command_kind in CommandKind::ALL {
        let mut schema = command_kind.visit(BodyOf(schemas));
        schema.insert("description".to_owned(), command_kind.about().trim().into());
        schemas.definitions_mut().insert(schema_name(command_kind), schema.to_value());
    }
}

/// The name of a command's body among the schemas: `ProposeCommand`.
fn schema_name(command_kind: CommandKind) -> String {
    format!("{command_kind:?}Command")
}

fn operation(mut path: Value, command_kind: CommandKind) -> Value {
    let operation = &mut path["post"];
    let about = command_kind.about().trim();
    operation["summary"] = about.into();
    let general = operation["description"].as_str().unwrap_or_default();
    operation["description"] = format!("{}\n\n{general}", used(command_kind)).into();
    operation["operationId"] = command_kind.name().into();
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.retain(|parameter| parameter["name"] != "command");
    }
    let schema = format!("#/components/schemas/{}", schema_name(command_kind));
    operation["requestBody"]["content"]["application/json"]["schema"] = json!({"$ref": schema});
    path
}

/// Who gives the command to which cases, and which fields it has there.
fn used(command_kind: CommandKind) -> String {
    let of = |used: &Use| {
        let by: Vec<&str> = used.by.iter().map(|role| role.name()).collect();
        let fields: Vec<String> = used.takes.iter().map(|field| format!("`{field}`")).collect();
        let fields = if fields.is_empty() { "no fields".to_owned() } else { fields.join(", ") };
        let kind = used.kind.name().replace('_', " ");
        format!("- {kind}: by the {}, with {fields}. {}", by.join(" or the "), command_kind.does(used.kind))
    };
    command_kind.uses().iter().map(of).collect::<Vec<_>>().join("\n")
}

/// The schema of a command's body: its fields, and the sender's role.
struct BodyOf<'a>(&'a mut SchemaGenerator);

impl Visit for BodyOf<'_> {
    type Out = Schema;

    fn visit<P: Payload>(self) -> Schema {
        let mut role = self.0.subschema_for::<Option<Role>>();
        role.insert("description".to_owned(), "As whom, if you have several roles that can give it.".into());
        let mut schema = P::json_schema(self.0);
        let fields = schema.ensure_object().entry("properties").or_insert_with(|| json!({}));
        fields["as"] = role.to_value();
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(command_kind: CommandKind, body: &str) -> String {
        Said::read(command_kind, body.as_bytes()).unwrap_err().detail
    }

    #[test]
    fn a_command_has_its_own_fields_only() {
        let said = Said::read(CommandKind::Accept, br#"{"as": "client", "of": "offer", "number": 2}"#).unwrap();
        assert_eq!((said.role, said.fields.len()), (Some(Role::Client), 2));
        for (command_kind, body, told) in [
            (
                CommandKind::Accept,
                r#"{"of": "claim", "to_freelancer": 5}"#,
                "to_freelancer: accept has only of, number, amount",
            ),
            (CommandKind::Release, r#"{"amount": 5}"#, "amount: release has no fields"),
            (CommandKind::Propose, r#"{"to_freelancer": 5}"#, "missing field `rationale`"),
            (CommandKind::Propose, r#"{"to_freelancer": "5", "rationale": "x"}"#, "to_freelancer: "),
            (CommandKind::Offer, r#"{"to_freelancer": 5, "to_freelancer": 6}"#, "duplicate field `to_freelancer`"),
            (CommandKind::Release, r#"{"as": "owner"}"#, "as: unknown variant `owner`"),
            (
                CommandKind::Submit,
                r#"{"note": "x", "files": [{"sha256": "0", "name": "a", "size": 1, "media_type": "a/b", "by": "me"}]}"#,
                "files.0.by: there is no such field here",
            ),
        ] {
            let refused = refused(command_kind, body);
            assert!(refused.contains(told), "{command_kind} {body}: {refused}");
        }
        let name = "\\u001b[2J".repeat(500);
        let told = refused(CommandKind::Release, &format!(r#"{{"{name}": 5}}"#));
        assert!(told.len() <= 400 && !told.contains('\u{1b}'), "{told}");
        // Many clients send null for an absent field.
        let said = Said::read(CommandKind::Submit, br#"{"note": "x", "files": null, "as": null}"#).unwrap();
        assert_eq!(Value::from(said.fields), json!({"note": "x"}));
    }
}
