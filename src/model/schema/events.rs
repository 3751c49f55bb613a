//! Events of the core group: what happened to an object, for people to read.

use super::{Field, METADATA, Message, OBJECT_REFERENCE, Type};

/// What happened to an object.
pub static EVENT: Message = Message {
    name: "Event",
    component: "io.k8s.api.core.v1.Event",
    description: "Says that something happened to an object. Events are for people, are kept for a limited time, and promise nothing about their order or that one comes at all.",
    fields: &[
        METADATA,
        Field::new(
            "involvedObject",
            2,
            Type::Message(&OBJECT_REFERENCE),
            "v1.ObjectReference",
            "The object that the event is about. Its namespace is the event's own.",
        )
        .required(),
        Field::new("reason", 3, Type::String, "string", "Why, in one word, for programs."),
        Field::new("message", 4, Type::String, "string", "What happened, in words, for people."),
        Field::new("source", 5, Type::Message(&EVENT_SOURCE), "v1.EventSource", "Who says so."),
        Field::new("firstTimestamp", 6, Type::Time, "v1.Time", "When it happened first."),
        Field::new("lastTimestamp", 7, Type::Time, "v1.Time", "When it happened last."),
        Field::new("count", 8, Type::Int32, "int32", "How often it has happened."),
        Field::new("type", 9, Type::String, "string", "Normal or Warning; others may come to be."),
        Field::new(
            "eventTime",
            10,
            Type::MicroTime,
            "v1.MicroTime",
            "When it was first noticed, to the microsecond. An event that has it must name who reports it, and the action.",
        ),
        Field::new(
            "series",
            11,
            Type::Message(&EVENT_SERIES),
            "v1.EventSeries",
            "What is known of the series that the event stands for, if it stands for one.",
        )
        .pointer(),
        Field::new("action", 12, Type::String, "string", "What was done, or was tried, in consequence."),
        Field::new(
            "related",
            13,
            Type::Message(&OBJECT_REFERENCE),
            "v1.ObjectReference",
            "Another object that the action needs besides.",
        )
        .pointer(),
        Field::new(
            "reportingComponent",
            14,
            Type::String,
            "string",
            "The controller that reports the event: example.com/controller.",
        ),
        Field::new("reportingInstance", 15, Type::String, "string", "Which of its processes."),
    ],
    atomic: false,
};

/// Who says that something happened.
pub static EVENT_SOURCE: Message = Message {
    name: "EventSource",
    component: "io.k8s.api.core.v1.EventSource",
    description: "Who reports an event.",
    fields: &[
        Field::new("component", 1, Type::String, "string", "The program."),
        Field::new("host", 2, Type::String, "string", "The machine that it runs on."),
    ],
    atomic: false,
};

/// A series of events.
pub static EVENT_SERIES: Message = Message {
    name: "EventSeries",
    component: "io.k8s.api.core.v1.EventSeries",
    description: "What is known of a series of events: something that goes on happening.",
    fields: &[
        Field::new("count", 1, Type::Int32, "int32", "How often it has happened up to the last time told."),
        Field::new("lastObservedTime", 2, Type::MicroTime, "v1.MicroTime", "When it was last observed."),
    ],
    atomic: false,
};
