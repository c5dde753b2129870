//! The rows of the schema.

use serde::{Deserialize, Serialize};

/// The effect of a change of a field on running containers, from none to the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateClass {
    /// Only the engine uses it.
    Nothing,
    /// Docker changes it while the container runs.
    Live,
    /// A file is rewritten and the container gets a signal.
    Reload,
    /// The container is restarted.
    Restart,
    /// The container is replaced.
    RecreateContainer,
    /// All containers of the pod are replaced.
    RecreatePod,
}

impl UpdateClass {
    /// Returns the effect of a change, as the reference describes it.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            UpdateClass::Nothing => "does not affect running containers",
            UpdateClass::Live => "updates the container in place, without a restart",
            UpdateClass::Reload => "rewrites the file and sends the signal, without a restart",
            UpdateClass::Restart => "restarts the container",
            UpdateClass::RecreateContainer => "recreates the container",
            UpdateClass::RecreatePod => "recreates the pod",
        }
    }
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form<'s> {
    /// A value after the kind's word and name, in the order of the rows.
    Argument,
    /// One value: a property, or a child with that value.
    Scalar,
    /// Keys and values: properties of the child node, its children, or both.
    Map,
    /// Values after the child's word.
    List,
    /// A child with fields of its own, at most once. Holds the key of its kind.
    Block(&'s str),
    /// Children with names or keys, any number. Holds the key of their kind.
    Child(&'s str),
    /// Pairs, and in the block `not`, `any`, `has`, `lacks`.
    Selector,
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType<'s> {
    /// Text; numbers and booleans count by the characters they are written with.
    Text,
    /// Text, and only text.
    Word,
    /// A name: lower-case letters, digits and `-`.
    Name,
    /// The name of a volume.
    Volume,
    /// One of these words.
    Enum(&'s [&'s str]),
    /// `#true` or `#false`.
    Bool,
    /// A whole number in this range.
    Int(u32, u32),
    /// A number of pods, or `per-host`.
    Replicas,
    /// A number, or a percent such as `"25%"`.
    Amount,
    /// A number from 1 to 65535.
    Port,
    /// The name or the number of a port of the same container.
    PortRef,
    /// A port of the host, with or without an address before it.
    Publish,
    /// Bytes such as `"512MiB"`.
    Bytes,
    /// A duration such as `"1h30m"`.
    Duration,
    /// A number of cores such as `0.5`.
    Cpu,
    /// The name of an image.
    Image,
    /// An absolute path.
    Path,
    /// A path inside the spec's folder.
    SpecPath,
    /// A path inside the spec's folder, or an absolute one.
    SecretPath,
    /// The name of an environment variable.
    Variable,
    /// The name of a secret.
    Secret,
    /// A word such as `SIGTERM`.
    Signal,
    /// Octal permission bits such as `"0644"`.
    Mode,
    /// `user`, `1000`, `user:group` or `1000:1000`.
    Owner,
    /// The address of a host.
    Address,
    /// The path of an HTTP request.
    UrlPath,
    /// A whole number or `unlimited`.
    Limit,
    /// The key of a label.
    LabelKey,
}

impl ValueType<'_> {
    /// Describes the type, as in the reference.
    #[must_use]
    pub fn phrase(self) -> String {
        match self {
            ValueType::Text => "text; numbers and booleans keep their characters".into(),
            ValueType::Word => "text".into(),
            ValueType::Name => "a name: lower-case letters, digits and `-`".into(),
            ValueType::Volume => "the name of a volume of the pod or of the spec".into(),
            ValueType::Enum(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
            }
            ValueType::Bool => "`#true` or `#false`".into(),
            ValueType::Int(least, most) if most == u32::MAX => {
                format!("a whole number, {least} or more")
            }
            ValueType::Int(least, most) => format!("a whole number, {least} to {most}"),
            ValueType::Replicas => "a whole number, or `per-host`".into(),
            ValueType::Amount => "a whole number, or a percent such as `\"25%\"`".into(),
            ValueType::Port => "a number, 1 to 65535".into(),
            ValueType::PortRef => "the name or the number of a port of this container".into(),
            ValueType::Publish => {
                "a port of the host: `8080`, `\"127.0.0.1:8080\"`, `\"[::1]:8080\"`".into()
            }
            ValueType::Bytes => "bytes: `\"512MiB\"`, `\"1.5GiB\"`, `\"10MB\"`".into(),
            ValueType::Duration => "a duration: `\"1h30m\"`, `\"500ms\"`".into(),
            ValueType::Cpu => "a number of cores: `0.5`".into(),
            ValueType::Image => "the name of an image: `\"nginx:1.27\"`".into(),
            ValueType::Path => "an absolute path".into(),
            ValueType::SpecPath => "a path inside the folder of the first file".into(),
            ValueType::SecretPath => {
                "a path inside the folder of the first file, or an absolute one".into()
            }
            ValueType::Variable => "the name of an environment variable".into(),
            ValueType::Secret => "the name of a secret".into(),
            ValueType::Signal => "a signal: `SIGTERM`".into(),
            ValueType::Mode => "octal permission bits: `\"0644\"`".into(),
            ValueType::Owner => "`app`, `\"1000\"`, `\"app:app\"` or `\"1000:1000\"`".into(),
            ValueType::Address => {
                "`unix:///PATH`, `sim:NAME`, `ssh://[USER@]HOST[:PORT][/SOCKET]` or `tcp://HOST:PORT`".into()
            }
            ValueType::UrlPath => "a path that starts with `/`".into(),
            ValueType::Limit => "a whole number, or `unlimited`".into(),
            ValueType::LabelKey => "the key of a label".into(),
        }
    }
}

/// The version that a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'s> {
    /// It takes effect.
    Now,
    /// It compiles, is checked and is in the graph; the sentence says which part is not supported yet.
    Later(&'s str),
    /// The word is known and refused: it belongs to a later version of the language.
    Language,
}

/// Whether things of a kind have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// They have none.
    None,
    /// The first value after the word: lower-case letters, digits and `-`.
    Name,
    /// The first value after the word, any word without white space (a limit's, a port's).
    Word,
}

/// One field of a kind. The rows of the table are static; the parameters of a component become rows that borrow
/// from the text of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldRow<'s> {
    /// The word people write; for an argument the word that the graph has for it.
    pub word: &'s str,
    /// How it is written.
    pub form: Form<'s>,
    /// The type of its value (of each value, in lists and maps).
    pub value: ValueType<'s>,
    /// The default, in the words of the language.
    pub default: Option<&'s str>,
    /// Whether it must be written.
    pub required: bool,
    /// The effect of a change.
    pub class: UpdateClass,
    /// Whether it may hold `${secret.NAME}`, which is known at apply only. All other fields are known
    /// when compiling: their values reach names, labels, plans and logs.
    pub at_apply: bool,
    /// The version it belongs to.
    pub step: Step<'s>,
    /// Its description, in one line.
    pub doc: &'s str,
    /// The field as a line of its kind's block (for an argument: the node it belongs to).
    pub example: &'s str,
    /// The same with another value.
    pub changed: &'s str,
}

/// One kind, static or made at run time as [`FieldRow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindRow<'s> {
    /// Unique among kinds: its word, with the kind around it where two share a word.
    pub key: &'s str,
    /// The word people write; empty for the spec itself.
    pub word: &'s str,
    /// Its word with an article, for messages: `a container`.
    pub article: &'s str,
    /// Whether its things have names.
    pub naming: Naming,
    /// Its fields; arguments first.
    pub fields: &'s [FieldRow<'s>],
    /// The version it belongs to.
    pub step: Step<'s>,
    /// Its description, in one line.
    pub doc: &'s str,
    /// A node of the kind as examples open it, without its block.
    pub head: &'s str,
    /// The key of the kind around it in examples; empty for the spec.
    pub within: &'s str,
}

impl<'s> KindRow<'s> {
    /// Returns the field of that word, as people write it.
    #[must_use]
    pub fn field(&self, word: &str) -> Option<&'s FieldRow<'s>> {
        self.fields.iter().find(|row| row.word == word)
    }

    /// Returns the field for a word of the graph's data, which has `content` for the field written as
    /// `from` or `text`.
    #[must_use]
    pub fn field_of_data(&self, word: &str) -> Option<&'s FieldRow<'s>> {
        self.field(if word == "content" { "text" } else { word })
    }

    /// Returns the effect of a change of one of its fields. Inits share their fields with containers, but an init runs
    /// when its pod is created, so a change that would restart or recreate a container recreates the pod of an init.
    #[must_use]
    pub fn class_of(&self, field: &FieldRow<'_>) -> UpdateClass {
        if self.key == "init" && field.class >= UpdateClass::Restart {
            UpdateClass::RecreatePod
        } else {
            field.class
        }
    }

    /// Returns its arguments in order.
    pub fn arguments(&self) -> impl Iterator<Item = &'s FieldRow<'s>> {
        self.fields.iter().filter(|row| row.form == Form::Argument)
    }
}

impl<'s> FieldRow<'s> {
    /// Returns a row with the most common properties: no default, not required, in effect.
    pub(super) const fn new(
        word: &'s str,
        form: Form<'s>,
        value: ValueType<'s>,
        class: UpdateClass,
        doc: &'s str,
    ) -> Self {
        Self {
            word,
            form,
            value,
            default: None,
            required: false,
            class,
            at_apply: false,
            step: Step::Now,
            doc,
            example: "",
            changed: "",
        }
    }

    pub(super) const fn default(self, text: &'s str) -> Self {
        Self { default: Some(text), ..self }
    }

    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// It may hold secrets.
    pub(super) const fn at_apply(self) -> Self {
        Self { at_apply: true, ..self }
    }

    pub(super) const fn later(self, sentence: &'s str) -> Self {
        Self { step: Step::Later(sentence), ..self }
    }

    pub(super) const fn shown(self, example: &'s str, changed: &'s str) -> Self {
        Self { example, changed, ..self }
    }

    /// Returns a word of a later version of the language.
    pub(super) const fn language(word: &'s str, doc: &'s str) -> Self {
        let row =
            Self::new(word, Form::Scalar, ValueType::Word, UpdateClass::RecreateContainer, doc);
        Self { step: Step::Language, ..row }
    }

    /// As [`FieldRow::language`], for a field that the whole pod depends on.
    pub(super) const fn language_of_pod(word: &'s str, doc: &'s str) -> Self {
        Self { class: UpdateClass::RecreatePod, ..Self::language(word, doc) }
    }
}
