use proptest::prelude::*;
use serde_json::json;

use super::*;

/// An object as the API server has it, after it was applied with these fields as ours.
fn live(sealed: &Value, fields: &Value, operation: &str) -> ObjectMeta {
    let mut metadata: ObjectMeta = serde_json::from_value(sealed["metadata"].clone()).unwrap();
    metadata.managed_fields = Some(vec![
        serde_json::from_value(json!({
            "manager": FIELD_MANAGER, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields,
        }))
        .unwrap(),
        serde_json::from_value(json!({
            "manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
            "fieldsV1": {"f:status": {}},
        }))
        .unwrap(),
    ]);
    metadata
}

/// Whether it would not be applied again.
fn is_applied(sealed: &Value, metadata: &ObjectMeta) -> bool {
    Mark::of(metadata).is_some_and(|mark| super::is_applied(sealed, &mark))
}

fn service() -> Value {
    sealed(&json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "luminari", "namespace": "tenant-a", "labels": {"a": "b"},
            "ownerReferences": [{"uid": "u", "name": "luminari"}],
        },
        "spec": {
            "type": "ClusterIP", "selector": {"app": "x"},
            "ports": [{"name": "tcp", "port": 8081, "protocol": "TCP", "targetPort": "tcp"}],
        },
    }))
    .unwrap()
}

/// As a kube-apiserver writes it.
fn fields_of_service() -> Value {
    json!({
        "f:metadata": {
            "f:annotations": {"f:intermud.dev/applied-hash": {}},
            "f:labels": {"f:a": {}},
            "f:ownerReferences": {"k:{\"uid\":\"u\"}": {}},
        },
        "f:spec": {
            "f:ports": {"k:{\"port\":8081,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}},
            "f:selector": {},
            "f:type": {},
        },
    })
}

#[test]
fn what_was_applied_and_not_touched_is_not_applied_again() {
    let sealed = service();
    assert!(is_applied(&sealed, &live(&sealed, &fields_of_service(), "Apply")));
}

#[test]
fn a_field_that_somebody_else_set_or_removed_is_noticed() {
    let sealed = service();
    for pointer in [
        // A parent that has no fields of ours left goes with the last of them.
        "/f:metadata/f:labels",
        "/f:metadata/f:annotations",
        "/f:metadata/f:ownerReferences",
        "/f:spec/f:selector",
        "/f:spec/f:ports",
        "/f:spec/f:ports/k:{\"port\":8081,\"protocol\":\"TCP\"}/f:targetPort",
    ] {
        let mut fields = fields_of_service();
        let (parent, name) = pointer.rsplit_once("/").unwrap();
        let parent = fields.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
        assert!(parent.remove(name).is_some(), "{pointer}");
        assert!(!is_applied(&sealed, &live(&sealed, &fields, "Apply")), "{pointer}");
    }
}

#[test]
fn what_is_wanted_now_is_what_counts() {
    let sealed = service();
    let metadata = live(&sealed, &fields_of_service(), "Apply");
    let mut other = sealed.clone();
    other["spec"]["type"] = json!("NodePort");
    other["metadata"]["annotations"] = Value::Null;
    assert!(!is_applied(&super::sealed(&other).unwrap(), &metadata), "another value");
    let mut less = sealed.clone();
    less["metadata"]["annotations"] = Value::Null;
    less["spec"].as_object_mut().unwrap().remove("type");
    assert!(!is_applied(&super::sealed(&less).unwrap(), &metadata), "a field fewer");
}

#[test]
fn where_it_cannot_be_told_the_object_is_applied() {
    let sealed = service();
    assert!(!is_applied(&sealed, &ObjectMeta::default()));
    assert!(!is_applied(&sealed, &live(&sealed, &fields_of_service(), "Update")));
    assert!(!is_applied(&sealed, &live(&sealed, &json!("no JSON"), "Apply")));
    let mut theirs = live(&sealed, &fields_of_service(), "Apply");
    theirs.managed_fields.as_mut().unwrap()[0].manager = Some("kubectl".to_owned());
    assert!(!is_applied(&sealed, &theirs));
    let mut copied = live(&sealed, &fields_of_service(), "Apply");
    copied.annotations.as_mut().unwrap().insert(APPLIED_HASH.to_owned(), "another".to_owned());
    assert!(!is_applied(&sealed, &copied));
}

#[test]
fn metadata_is_compared_by_what_it_holds() {
    let applied = sealed(&json!({"metadata": {
        "name": "a", "uid": "u", "labels": {"a": "b"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "K", "uid": "u", "name": "n"}],
    }}))
    .unwrap();
    let mut live: ObjectMeta = serde_json::from_value(applied["metadata"].clone()).unwrap();
    live.labels.as_mut().unwrap().insert("theirs".to_owned(), "kept".to_owned());
    assert!(is_applied_metadata(&applied, &live));
    for spoil in [
        |live: &mut ObjectMeta| live.labels = None,
        |live: &mut ObjectMeta| live.owner_references.as_mut().unwrap()[0].uid = "other".to_owned(),
        |live: &mut ObjectMeta| live.annotations = None,
    ] {
        let mut spoilt = live.clone();
        spoil(&mut spoilt);
        assert!(!is_applied_metadata(&applied, &spoilt));
    }
}

/// A part of an object, and how the API server's schema has it.
#[derive(Clone, Debug)]
enum Part {
    Leaf(i64),
    Empty,
    Atomic(Vec<i64>),
    Map(Vec<Part>),
    /// A list whose items are known by their field `id`.
    Keyed(Vec<Vec<Part>>),
    Set(Vec<String>),
}

impl Part {
    /// It as it is applied, with the fields that are ours; `left` counts down the leaves, and the one at 0 is somebody
    /// else's.
    fn render(&self, left: &mut i64) -> (Value, Option<Value>) {
        let mut leaf = || {
            *left -= 1;
            (*left != -1).then(|| json!({}))
        };
        match self {
            Self::Leaf(value) => (json!(value), leaf()),
            Self::Empty => (json!({}), leaf()),
            Self::Atomic(items) => (json!(items), leaf()),
            Self::Map(parts) => {
                let (mut value, mut fields) = (json!({}), json!({}));
                for (index, part) in parts.iter().enumerate() {
                    let (inner, owned) = part.render(left);
                    value[format!("p{index}")] = inner;
                    if let Some(owned) = owned {
                        fields[format!("f:p{index}")] = owned;
                    }
                }
                // What owns nothing is not written.
                let some = fields.as_object().is_some_and(|fields| !fields.is_empty());
                (value, some.then_some(fields))
            }
            Self::Keyed(items) => {
                let (mut value, mut fields) = (json!([]), json!({}));
                for (id, parts) in items.iter().enumerate() {
                    let (mut item, owned) = Self::Map(parts.clone()).render(left);
                    item["id"] = json!(id);
                    let mut owned = owned.unwrap_or_else(|| json!({}));
                    owned["."] = json!({});
                    owned["f:id"] = json!({});
                    value.as_array_mut().unwrap().push(item);
                    fields[format!("k:{{\"id\":{id}}}")] = owned;
                }
                (value, Some(fields))
            }
            Self::Set(items) => {
                let mut fields = json!({});
                for item in items {
                    if let Some(owned) = leaf() {
                        fields[format!("v:{}", json!(item))] = owned;
                    }
                }
                (json!(items), Some(fields))
            }
        }
    }

    fn leaves(&self) -> i64 {
        let mut left = i64::MAX;
        self.render(&mut left);
        i64::MAX - left
    }
}

fn part() -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Part::Leaf),
        Just(Part::Empty),
        prop::collection::vec(any::<i64>(), 1..3).prop_map(Part::Atomic),
        // Two, so that a set of which one is lost is still a set.
        prop::collection::btree_set("[a-z]{1,4}", 2..4).prop_map(|set| Part::Set(set.into_iter().collect())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let parts = prop::collection::vec(inner, 1..4);
        prop_oneof![
            parts.clone().prop_map(Part::Map),
            prop::collection::vec(parts, 1..3).prop_map(Part::Keyed),
        ]
    })
}

proptest! {
    #[test]
    fn all_that_is_ours_is_recognized_and_any_loss_is_noticed(parts in prop::collection::vec(part(), 1..4), at in any::<prop::sample::Index>()) {
        let object = Part::Map(parts);
        let seen = |mut left: i64| {
            let (spec, owned) = object.render(&mut left);
            let sealed = sealed(&json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "spec": spec})).unwrap();
            let mut fields = json!({"f:metadata": {"f:annotations": {"f:intermud.dev/applied-hash": {}}}});
            if let Some(owned) = owned {
                fields["f:spec"] = owned;
            }
            is_applied(&sealed, &live(&sealed, &fields, "Apply"))
        };
        prop_assert!(seen(i64::MAX));
        let lost = at.index(usize::try_from(object.leaves()).unwrap());
        prop_assert!(!seen(i64::try_from(lost).unwrap()), "leaf {lost} of {object:?}");
    }
}
