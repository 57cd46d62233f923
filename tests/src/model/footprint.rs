//! A case in one line, without the parts that only grow and decide nothing, and with times relative to its clock. The checker
//! takes two states with the same footprint to be the same. A new field of a case belongs to it unless it is named here.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use recourse_domain::{case::Case, ids::CaseKind, stage::Stage};
use serde::ser::{self, Serialize};

/// The parts that are left out: the timeline (the rules bound the number of amendments, D5), the notices, the used keys
/// (`twice_is_once` tries them), what never changes within a run, and names of attempts, charges and submissions.
const LEFT_OUT: [&str; 15] = [
    "id",
    "contract",
    "policy",
    "timeline",
    "refusals_omitted",
    "answered",
    "answered_bytes",
    "notices",
    "notices_given",
    "version",
    "evidence",
    "submissions",
    "latest",
    "changes",
    "charge",
];

/// The case's footprint.
pub fn of<C: Case + Serialize>(case: &C, now: Timestamp) -> String {
    let file = case.file();
    // Mediation's limit counts from the filing (M2), until it is set.
    let opened = C::KIND == CaseKind::Dispute && case.stage() == Stage::AwaitingClient;
    // A receipt time before the stage opened counts as none (T2): that matters while there is a deadline.
    let stage_opened = file.deadline.is_some();
    let policy = &file.policy;
    let mut printer = Printer { text: String::with_capacity(400), now, opened, stage_opened };
    let rules = (policy.client_silence, policy.no_arbitration, &policy.arbitration_fee_share);
    rules.serialize(&mut printer).and_then(|()| case.serialize(&mut printer)).expect("a case can be written");
    printer.text
}

/// Whether the footprint says that this party's share of the arbitration fee is paid.
pub fn has_paid(footprint: &str, party: &str) -> bool {
    let demands = footprint.split_once("demands:").map_or("", |(_, rest)| rest);
    let demands = demands.split_once("fees_due").map_or("", |(demands, _)| demands);
    demands.contains(&format!("{party},:Paid"))
}

struct Printer {
    text: String,
    now: Timestamp,
    opened: bool,
    stage_opened: bool,
}

impl Printer {
    fn skips(&self, field: &str) -> bool {
        match field {
            "opened_at" => !self.opened,
            "stage_opened_at" => !self.stage_opened,
            field => LEFT_OUT.contains(&field),
        }
    }

    fn put(&mut self, value: impl fmt::Display) -> fmt::Result {
        write!(self.text, "{value},")
    }
}

macro_rules! plain {
    ($($name:ident $type:ty)+) => {
        $(fn $name(self, value: $type) -> fmt::Result {
            self.put(value)
        })+
    };
}

impl ser::Serializer for &mut Printer {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    plain! {
        serialize_bool bool serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 serialize_u8 u8
        serialize_u16 u16 serialize_u32 u32 serialize_u64 u64 serialize_f32 f32 serialize_f64 f64 serialize_char char
    }

    fn serialize_str(self, text: &str) -> fmt::Result {
        if text.ends_with('Z')
            && text.starts_with(|first: char| first.is_ascii_digit())
            && let Ok(at) = text.parse::<Timestamp>()
        {
            return self.put(at.duration_since(self.now).as_secs());
        }
        self.put(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> fmt::Result {
        write!(self.text, "{bytes:?},")
    }

    fn serialize_none(self) -> fmt::Result {
        self.put('-')
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> fmt::Result {
        self.put('-')
    }

    fn serialize_unit_struct(self, name: &'static str) -> fmt::Result {
        self.put(name)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> fmt::Result {
        self.put(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> fmt::Result {
        self.put(variant)?;
        // The number of the attempt only names the charge (A1).
        if ["Charging", "Declined"].contains(&variant) { Ok(()) } else { value.serialize(self) }
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, fmt::Error> {
        self.text.push('[');
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, fmt::Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, fmt::Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, fmt::Error> {
        self.put(variant)?;
        self.serialize_seq(None)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, fmt::Error> {
        self.serialize_seq(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, fmt::Error> {
        self.serialize_seq(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, fmt::Error> {
        self.put(variant)?;
        self.serialize_seq(None)
    }
}

macro_rules! parts {
    ($($part:ident $method:ident)+) => {
        $(impl ser::$part for &mut Printer {
            type Ok = ();
            type Error = fmt::Error;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> fmt::Result {
                value.serialize(&mut **self)
            }

            fn end(self) -> fmt::Result {
                self.text.push(']');
                Ok(())
            }
        })+
    };
}

parts! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! fields {
    ($($part:ident)+) => {
        $(impl ser::$part for &mut Printer {
            type Ok = ();
            type Error = fmt::Error;

            fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> fmt::Result {
                if self.skips(name) {
                    return Ok(());
                }
                write!(self.text, "{name}:")?;
                value.serialize(&mut **self)
            }

            fn end(self) -> fmt::Result {
                self.text.push(']');
                Ok(())
            }
        })+
    };
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for &mut Printer {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> fmt::Result {
        key.serialize(&mut **self)?;
        self.text.push(':');
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> fmt::Result {
        value.serialize(&mut **self)
    }

    fn end(self) -> fmt::Result {
        self.text.push(']');
        Ok(())
    }
}
